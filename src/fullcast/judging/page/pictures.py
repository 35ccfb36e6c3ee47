"""Pictures inside the page: small, embedded, with boxes and names drawn over them as text that stays sharp."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fullcast.judging.page.html import Html, tag
from fullcast.judging.report_data import Label, Shown
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture, resize

SMALL_PX = 192
"""Pictures up to this side are kept as PNG, exact: JPEG's blocks of 8 px would be seen when they are shown larger."""


class Pictures:
    """Reads pictures under one folder and gives them as ``<img>``; each file is read once per size."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.missing: list[str] = []
        """Paths that could not be read; the page shows an empty frame in their place and says so."""
        self._cache: dict[tuple[str, int], tuple[str, int, int] | None] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        """(width, height) of the files themselves, in whose pixels boxes are given."""

    def embed(self, path: str, max_side: int, alt: str = "") -> Html:
        """``<img>`` with the picture as a data URI, shrunk to ``max_side`` pixels, never enlarged."""
        loaded = self._load(path, max_side)
        if loaded is None:
            return tag("span", "picture missing", class_="missing")
        uri, width, height = loaded
        # The page shows pictures of the smallest models several times enlarged: then pixels, not mush.
        kind = "tiny" if max(width, height) <= SMALL_PX else None
        ratio = f"aspect-ratio:{width}/{height}"
        return tag("img", src=uri, alt=alt or path.rsplit("/", 1)[-1], loading="lazy", class_=kind, style=ratio)

    def figure(self, shown: Shown, max_side: int) -> Html:
        """The picture, its boxes, then badges and caption below."""
        picture = self.embed(shown.path, max_side, shown.caption)
        size = self._sizes.get(shown.path)
        labels = _boxes(shown.labels, *size) if size else None
        image = tag("div", picture, labels, class_="frame")
        badges = [tag("span", badge.text, class_=f"badge {badge.tone}") for badge in shown.badges]
        texts = (
            tag("div", badges, class_="badges") if badges else None,
            tag("div", shown.caption, class_="caption") if shown.caption else None,
            tag("div", shown.note, class_="note") if shown.note else None,
        )
        return tag("figure", image, tag("figcaption", texts) if any(texts) else None)

    def _load(self, path: str, max_side: int) -> tuple[str, int, int] | None:
        key = (path, max_side)
        if key not in self._cache:
            try:
                image = read_picture(self.root / path)
            except UnreadableFile:
                self.missing.append(path)
                self._cache[key] = None
                return None
            height, width = image.shape[:2]
            self._sizes[path] = (width, height)
            scale = min(1.0, max_side / max(width, height))
            small = resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))
            self._cache[key] = (_data_uri(small), small.shape[1], small.shape[0])
        return self._cache[key]


_LETTER, _LINE = 0.022, 0.09
"""Width of a letter of a name and height of its line, in shares of the picture as it is shown 340 px wide."""


def _boxes(labels: Sequence[Label], width: int, height: int) -> list[Html]:
    """Boxes from left to right; a name that would meet its left neighbour's, or the edge, goes under its box."""
    drawn: list[Html] = []
    taken: list[tuple[float, float]] = []  # right end and line of the names above their boxes
    for label in sorted(labels, key=lambda one: one.xyxy[0]):
        left, top = label.xyxy[0] / width, label.xyxy[1] / height
        meets = any(left < end and abs(top - line) < _LINE for end, line in taken)
        under = meets or top < _LINE
        if not under:
            taken.append((left + _LETTER * (len(label.text) + 1.5), top))
        drawn.append(_box(label, width, height, under))
    return drawn


def _box(label: Label, width: int, height: int, under: bool) -> Html:
    """A box in percent of the picture, so that it grows with it."""
    x0, y0, x1, y1 = label.xyxy
    place = f"left:{100 * x0 / width:.2f}%;top:{100 * y0 / height:.2f}%;"
    place += f"width:{100 * (x1 - x0) / width:.2f}%;height:{100 * (y1 - y0) / height:.2f}%"
    return tag("span", tag("b", label.text, class_="under" if under else None), class_=f"box {label.tone}", style=place)


def _data_uri(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    if max(image.shape[:2]) <= SMALL_PX:
        Image.fromarray(image).save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        Image.fromarray(image).save(buffer, "JPEG", quality=84, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()
