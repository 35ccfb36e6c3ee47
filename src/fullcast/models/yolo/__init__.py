"""Door to YOLO detectors as ONNX (v5 to v11 heads, end-to-end heads): deepghs anime detectors, pocket detector."""

from fullcast.models.yolo.detector import YoloDetector, suppress

__all__ = ["YoloDetector", "suppress"]
