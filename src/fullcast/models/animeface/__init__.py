"""Door to the PyPI package `animeface` (Apache-2.0): a face detector for anime that comes with its weights."""

from fullcast.models.animeface.detector import AnimeFaceDetector

__all__ = ["AnimeFaceDetector"]
