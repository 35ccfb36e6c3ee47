"""A Look: who is in a picture and where, over the full cast. The judge and repair see through it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fullcast.models.base import Embedder, PersonDetector
from fullcast.recognition.detect import detect_people
from fullcast.recognition.embed import embed_people
from fullcast.recognition.identify import Gallery, require_embedder
from fullcast.recognition.methods import CLASSIFIER, FormClassifier, identify_by
from fullcast.records import UNKNOWN, Cast, Found, Person


class CastLook:
    """Implements ports.Look. Each figure is named by itself, so that the same character can be seen twice."""

    def __init__(
        self, detector: PersonDetector, embedder: Embedder, cast: Cast, *, threshold: float | None = None
    ) -> None:
        """`threshold`: cosine below which a figure is unknown; None: the cast's own."""
        require_embedder(cast, embedder)
        self.detector, self.embedder, self.cast = detector, embedder, cast
        self.threshold = cast.threshold if threshold is None else threshold
        self.gallery = Gallery.of(cast)
        self.model = FormClassifier.of(self.gallery) if cast.naming.method == CLASSIFIER else None
        self.name = f"{detector.name} {embedder.name}"

    def look(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        """For each (H, W, 3) uint8 RGB picture its figures, left to right."""
        ids = [str(i) for i in range(len(images))]
        found = detect_people(images, ids, self.detector)
        people = embed_people(
            [person for group in found for person in group], dict(zip(ids, images, strict=True)), self.embedder
        )
        named = iter(self._name(people))
        return [[next(named) for _ in group] for group in found]

    def _name(self, people: Sequence[Person]) -> list[Found]:
        seen = [p.embedding for p in people if p.embedding is not None]
        slope = self.cast.naming.slope
        identities = iter(identify_by(np.stack(seen), self.gallery, self.model, slope, self.threshold) if seen else [])
        answer = []
        for p in people:
            if p.embedding is None:
                answer.append(Found(p.xyxy, None, p.confidence, UNKNOWN, "", 0.0, 0.0))
                continue
            who = next(identities)
            answer.append(
                Found(
                    *(p.xyxy, p.head_xyxy, p.confidence, who.character, who.form, who.score, who.margin),
                    scores=who.scores,
                    cosines=who.cosines,
                )
            )
        return answer
