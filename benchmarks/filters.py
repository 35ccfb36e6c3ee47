"""What the thresholds of the filters rest on: real drawings as they are, and the same enlarged, blurred, made grey.

    python -m benchmarks.filters FOLDER

FOLDER holds pictures that nobody here drew (the check of real art unpacks some: build/checks/real-art/art). Prints for
each measure its range on good and on spoilt pictures, and precision and recall of the default thresholds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from fullcast.ingest.config import FilterConfig
from fullcast.ingest.filters import MAX_GREY
from fullcast.ingest.measuring import colour, detail
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES, read_picture

SPOILT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "enlarged 2 times": lambda p: _resized(_resized(p, 0.5), 2),
    "enlarged 3 times": lambda p: _resized(_resized(p, 1 / 3), 3),
    "blurred, sigma 2": lambda p: cv2.GaussianBlur(p, (0, 0), 2),
}
GREY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey": lambda p: np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
    "sepia": lambda p: (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None] * (1, 0.87, 0.65)).clip(0, 255).astype("uint8"),
}


def main(folder: Path) -> None:
    pictures = list(_pictures(folder))
    print(f"{len(pictures)} pictures of {folder}")
    good = [detail(p) for p in pictures]
    _say("detail", "as they are", good)
    spoilt = {name: [detail(make(p)) for p in pictures] for name, make in SPOILT.items()}
    for name, values in spoilt.items():
        _say("detail", name, values)
    _score("blurred", FilterConfig().min_detail, good, [v for values in spoilt.values() for v in values])
    colours = [colour(p) for p in pictures]
    _say("colour", "as they are", colours)
    grey = {name: [colour(_as_jpeg(make(p))) for p in pictures] for name, make in GREY.items()}
    for name, values in grey.items():
        _say("colour", f"{name}, JPEG", values)
    _score("monochrome", MAX_GREY, colours, [v for values in grey.values() for v in values])


def _pictures(folder: Path):
    """Of 256 pixels and more: sprites of a game's map are no drawings of people."""
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES):
        try:
            picture = read_picture(path)
        except UnreadableFile:
            continue
        if min(picture.shape[:2]) >= 256:
            yield picture


def _say(measure: str, what: str, values: list[float]) -> None:
    low, middle, high = np.quantile(values, [0.02, 0.5, 0.98])
    print(f"{measure:8} {what:20} 2 %: {low:7.3f}   median: {middle:7.3f}   98 %: {high:7.3f}")


def _score(reason: str, threshold: float, good: list[float], bad: list[float]) -> None:
    """Below the threshold a picture is dropped."""
    hits, wrong = sum(v < threshold for v in bad), sum(v < threshold for v in good)
    precision, recall = hits / max(1, hits + wrong), hits / len(bad)
    print(f"{reason}: below {threshold:g}, precision {precision:.3f}, recall {recall:.3f}, {wrong} good ones dropped")


def _resized(picture: np.ndarray, scale: float) -> np.ndarray:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)


def _as_jpeg(picture: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
