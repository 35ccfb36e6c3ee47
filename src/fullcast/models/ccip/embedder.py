"""CCIP character embedders, behind the Embedder protocol.

The call (data-preparation.md 3.2): RGB, bilinear resize to S x S (aspect ratio not kept), / 255, CLIP mean and std,
``input`` [B,3,S,S] -> ``output`` [B,D]. The CCIP metric is a linear function of the cosine followed by a softmax, so
the cosine of the unit vectors orders pairs in the same way; its published thresholds (0.178475 and so on) are
differences after that function and are no cosines, so they must not be passed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fullcast.models.cards import card_of
from fullcast.models.onnx_network import OnnxNetwork
from fullcast.store.errors import FullcastError

CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)

DEFAULT_THRESHOLD = 0.5
"""Only a starting point for files that state none: the cast's own threshold is calibrated on its references."""
DEFAULT_CROP_SCALE = 1.5
"""Head box times 1.5, the crop of the seed's classifier and of deepghs' three-stage split."""


class CcipEmbedder:
    """An Embedder. Picklable: a spawned worker opens the same file again."""

    def __init__(
        self,
        path: str | Path,
        threshold: float | None = None,
        crop_scale: float | None = None,
        *,
        threads: int = 0,
        device: str = "auto",
        batch: int = 64,
    ) -> None:
        """`threshold` (cosine) and `crop_scale`: None takes the file's metadata of that key, else 0.5 and 1.5.

        A `threshold` given here holds beside a single reference too; a file may state a `pair_threshold` for those.
        """
        self.network = OnnxNetwork(path, threads=threads, device=device, batch=batch)
        self.input, self.output = self.network.require(
            "CCIP embedder", channels_axis=1, input_name="input", output_name="output"
        )
        shape, metadata = self.network.inputs[self.input], self.network.metadata
        self.size = shape[2] or int(metadata.get("imgsz", 384))
        dim = self.network.outputs[self.output][-1]
        if len(self.network.outputs[self.output]) != 2 or dim is None or (shape[3] or self.size) != self.size:
            raise FullcastError(
                f"{self.network.path} is no CCIP embedder: wanted is input [B,3,S,S] -> output [B,D] with a fixed D"
            )
        self.dim = dim
        self.threshold = float(metadata.get("threshold", DEFAULT_THRESHOLD)) if threshold is None else threshold
        self.pair_threshold = float(metadata.get("pair_threshold", self.threshold)) if threshold is None else threshold
        self.crop_scale = float(metadata.get("crop_scale", DEFAULT_CROP_SCALE)) if crop_scale is None else crop_scale
        self.card = card_of(self.network.path)
        self.name = f"ccip:{self.network.name}"

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(B, dim) float32 unit vectors for (H, W, 3) uint8 RGB crops of single characters; (0, dim) for none."""
        vectors = self.features(crops)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def features(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(B, dim) float32 as the network gives them, not of unit length: what `CcipMetric` compares."""
        outputs = list(self.network.run(self.input, self.output, map(self.prepare, crops)))
        return np.stack(outputs) if outputs else np.zeros((0, self.dim), dtype=np.float32)

    def prepare(self, crop: np.ndarray) -> np.ndarray:
        """(3, S, S) float32, RGB in CLIP's normalisation."""
        resized = Image.fromarray(crop).resize((self.size, self.size), Image.Resampling.BILINEAR)
        return ((np.asarray(resized, dtype=np.float32) / 255 - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1)
