"""Door to text detectors: PaddleOCR's differentiable binarisation networks as deepghs exports them."""

from fullcast.models.text.detector import PaddleTextDetector

__all__ = ["PaddleTextDetector"]
