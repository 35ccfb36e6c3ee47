"""WD14 taggers, behind the Tagger protocol.

The call (data-preparation.md 3.2): pasted centred on a white square, bicubic to S x S, BGR, float 0 to 255, NHWC; the
output already holds probabilities. The csv beside the graph names each output in order: category 9 rating, 0 general,
4 character.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fullcast.models.cards import card_of
from fullcast.models.onnx_network import BATCH, OnnxNetwork
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import file_id

GENERAL, CHARACTER, RATING = 0, 4, 9

MCUT_CHARACTER_FLOOR = 0.15
"""Below it MCut names no character, however wide the gap."""

_DRAWN = "0_0 (o)_(o) +_+ +_- ._. <o>_<o> <|>_<|> =_= >_< 3_3 6_9 >_o @_@ ^_^ o_o u_u x_x |_| ||_||"
KAOMOJIS = frozenset(_DRAWN.split())
"""Tags whose underscore is drawn: they keep it (list of SmilingWolf's own demonstration)."""


@dataclass(frozen=True, slots=True)
class TagSet:
    """What a tagger says of one picture: probabilities in [0, 1], strongest first."""

    ratings: Mapping[str, float]
    """All ratings, whatever their probability."""
    general: Mapping[str, float]
    characters: Mapping[str, float]

    @property
    def rating(self) -> str:
        """The likeliest rating, or '' for a tagger that rates nothing."""
        return next(iter(self.ratings), "")


class WdTagger:
    """A Tagger. Picklable: a spawned worker opens the same files again."""

    def __init__(
        self,
        model_path: str | Path,
        csv_path: str | Path | None = None,
        threshold: float | None = None,
        character_threshold: float | None = 0.85,
        *,
        by_gap: bool = False,
        threads: int = 0,
        device: str = "auto",
        batch: int = BATCH,
    ) -> None:
        """`csv_path`: None is ``selected_tags.csv`` beside the graph. Thresholds are probabilities in [0, 1].

        `threshold`: of general tags, before all else; None takes the graph's metadata ``threshold``, else 0.35 (the
        cards' own). No other file is asked: WD14 taggers ship none.
        `by_gap`: each picture's own threshold by the widest gap (MCut) instead of the two fixed ones.
        `character_threshold`: None leaves character tags out: names come from references here, not from a tagger.
        """
        self.network = OnnxNetwork(model_path, threads=threads, device=device, batch=batch)
        # deepghs' copies of the graphs give an embedding as a second output: the first holds the probabilities.
        self.input, self.output = self.network.require("WD14 tagger", channels_axis=3)
        self.card, self.by_gap = card_of(self.network.path), by_gap
        labels = Path(csv_path) if csv_path is not None else self.network.path.with_name("selected_tags.csv")
        self.tags, self.categories = _read_labels(labels)
        num_outputs = self.network.outputs[self.output][-1]
        if num_outputs not in (None, len(self.tags)):
            raise FullcastError(
                f"{labels} names {len(self.tags)} tags but {self.network.path} gives {num_outputs}; they are not a pair"
            )
        self.size = self.network.inputs[self.input][1] or int(self.network.metadata.get("imgsz", 448))
        self.threshold = float(self.network.metadata.get("threshold", 0.35)) if threshold is None else threshold
        self.character_threshold = character_threshold
        self.name = f"wd14:{self.network.name},tags@{file_id(labels)[:8]},{self._limits}"

    @property
    def _limits(self) -> str:
        """The thresholds that count, for the name: the same network with others says other words."""
        limits = {"general": self.threshold, "character": self.character_threshold}
        said = {kind: "gap" if self.by_gap else f"{limit:g}" for kind, limit in limits.items() if limit is not None}
        return ",".join(f"{kind}>{limit}" for kind, limit in said.items())

    def tag(self, images: Sequence[np.ndarray]) -> list[Mapping[str, float]]:
        """Tags above the thresholds with probabilities, general ones before characters, strongest first; at the end the
        likeliest rating as ``rating:NAME``, from a tagger that rates."""
        return [
            {**found.general, **found.characters, **{f"rating:{r}": found.ratings[r] for r in [found.rating] if r}}
            for found in self.tag_sets(images)
        ]

    def tag_sets(self, images: Sequence[np.ndarray]) -> list[TagSet]:
        """The same kept apart by category, with the ratings."""
        outputs = self.network.run(self.input, self.output, map(self.prepare, images))
        return [self._read(values) for values in outputs]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """(S, S, 3) float32 BGR, 0 to 255, on a white square."""
        height, width = image.shape[:2]
        side = max(height, width)
        left, top = (side - width) // 2, (side - height) // 2
        square = np.full((side, side, 3), 255, dtype=np.uint8)
        square[top : top + height, left : left + width] = image
        if side != self.size:
            resized = Image.fromarray(square).resize((self.size, self.size), Image.Resampling.BICUBIC)
            square = np.asarray(resized)
        return square[:, :, ::-1].astype(np.float32)

    def _read(self, values: np.ndarray) -> TagSet:
        def above(category: int, limit: float) -> dict[str, float]:
            chosen = [
                i for i in np.argsort(-values, kind="stable") if self.categories[i] == category and values[i] > limit
            ]
            return {self.tags[i]: float(values[i]) for i in chosen}

        general, character = self.threshold, self.character_threshold
        if self.by_gap:
            general = mcut(values[self.categories == GENERAL])
            if character is not None:
                character = max(MCUT_CHARACTER_FLOOR, mcut(values[self.categories == CHARACTER]))
        names = {} if character is None else above(CHARACTER, character)
        return TagSet(above(RATING, -1.0), above(GENERAL, general), names)


def _read_labels(path: Path) -> tuple[list[str], np.ndarray]:
    """Tag names with spaces for underscores (but not in faces such as "^_^"), and their categories."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [_spaced(row["name"]) for row in rows]
        return names, np.array([int(row["category"]) for row in rows])
    except FileNotFoundError as error:
        raise FullcastError(f"{path}: there is no such file; a WD14 tagger needs its selected_tags.csv") from error
    except (KeyError, TypeError, ValueError) as error:
        raise FullcastError(f"{path} is no list of tags: wanted is a csv with the columns name and category") from error


def _spaced(name: str) -> str:
    """Underscores become spaces, except in the drawn faces that the taggers' own list names."""
    return name if name in KAOMOJIS else name.replace("_", " ")


def mcut(probabilities: np.ndarray) -> float:
    """The middle of the largest gap between sorted probabilities: a threshold that each picture sets for itself.

    Largeron, Moulin, Gery: MCut, a thresholding strategy for multi-label classification, IDA 2012.
    """
    ordered = -np.sort(-probabilities)
    if len(ordered) < 2:
        return 0.0
    widest = int((ordered[:-1] - ordered[1:]).argmax())
    return float((ordered[widest] + ordered[widest + 1]) / 2)
