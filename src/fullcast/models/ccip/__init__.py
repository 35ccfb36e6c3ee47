"""Door to CCIP character embedders as ONNX (deepghs/ccip_onnx `model_feat.onnx`, pocket embedders)."""

from fullcast.models.ccip.embedder import CcipEmbedder

__all__ = ["CcipEmbedder"]
