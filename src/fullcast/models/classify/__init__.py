"""deepghs' classifiers of whole pictures, and their aesthetic score."""

from fullcast.models.classify.classifier import AestheticScorer, AnimeClassifier

__all__ = ["AestheticScorer", "AnimeClassifier"]
