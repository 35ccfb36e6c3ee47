"""CCIP's own metric: how different two characters are, as the network that was trained with the embedder says.

``model_metrics.onnx``: ``input`` [N, D] of raw features (not unit vectors) -> ``output`` [N, N]; small is the same. Two
are one character at or below the threshold of that very model (``metrics.json``): thresholds of two models never mix.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fullcast.models.cards import card_of
from fullcast.models.onnx_network import OnnxNetwork
from fullcast.store.errors import FullcastError


class CcipMetric:
    """Picklable: a spawned worker opens the same file again."""

    def __init__(self, path: str | Path, threshold: float | None = None, *, threads: int = 0) -> None:
        """`path`: model_metrics.onnx or its folder. `threshold`: None takes ``metrics.json``, else the card's.

        Raises FullcastError when the graph is another one or nobody states a threshold.
        """
        path = Path(path)
        self.network = OnnxNetwork(path / "model_metrics.onnx" if path.is_dir() else path, threads=threads)
        inputs, outputs = self.network.inputs, self.network.outputs
        if len(inputs.get("input", ())) != 2 or len(outputs.get("output", ())) != 2:
            raise FullcastError(f"{self.network.path} is no CCIP metric: wanted is input [N,D] -> output [N,N]")
        self.card = card_of(self.network.path)
        self.threshold = _threshold(self.network.path) if threshold is None else threshold
        self.name = f"ccip-metric:{self.network.name}"

    def differences(self, features: np.ndarray) -> np.ndarray:
        """(N, N) float32 for (N, D) raw features of `CcipEmbedder.features`."""
        return self.network.run_once("input", "output", features)

    def same(self, features: np.ndarray) -> np.ndarray:
        """(N, N) bool: difference at most the threshold."""
        return self.differences(features) <= self.threshold


def _threshold(path: Path) -> float:
    metrics, card = path.with_name("metrics.json"), card_of(path)
    if metrics.is_file():
        try:
            return float(json.loads(metrics.read_text(encoding="utf-8"))["threshold"])
        except (ValueError, KeyError, TypeError) as error:
            raise FullcastError(f"{metrics} is damaged: wanted is a JSON object with a number 'threshold'") from error
    if card is None or card.threshold is None:
        raise FullcastError(f"{path}: no metrics.json beside it and no card states its threshold; pass one")
    return card.threshold
