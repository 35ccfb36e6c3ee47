"""Segmenters without a network: a graph cut inside each figure's box, and the box itself as the least of them."""

from fullcast.models.segment.boxes import BoxSegmenter
from fullcast.models.segment.graph_cut import GraphCutSegmenter

__all__ = ["BoxSegmenter", "GraphCutSegmenter"]
