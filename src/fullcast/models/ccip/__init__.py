"""Door to CCIP character embedders as ONNX (deepghs/ccip_onnx `model_feat.onnx`, pocket embedders) and their metric."""

from fullcast.models.ccip.embedder import CcipEmbedder
from fullcast.models.ccip.metric import CcipMetric

__all__ = ["CcipEmbedder", "CcipMetric"]
