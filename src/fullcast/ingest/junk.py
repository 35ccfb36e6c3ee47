"""Frames that are no picture of the story: black, blank, fades; title cards and credits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fullcast.ingest.planes import Light
from fullcast.ingest.text import TextLayout, edge_map, read_layout

_BLANK = 2.5
# A fade changes the contrast by at least this share per frame (a fade of 8 seconds at 24 fps), and by this in all.
_FADE_STEP, _FADE_TOTAL = 0.004, 1.35
# Frames in a row that may break the rule inside a fade: drawings change there too.
_FADE_PATIENCE = 2
_FADE_LONGEST = 200
_SETTLED = 1.5
"""Luma levels above the least of a black stretch that compression leaves."""
_NEARLY_PLAIN = 12.0
"""Contrast (standard deviation of luma) of a span's outermost frame that lets it begin or end in a fade."""
# A page of text covers at most a quarter of the half-size picture's pixels with edges; drawings are not read for text.
_STRONG, _BUSY = 20, 0.25
_CREDITS_LINES = 4
_CREDITS_FROM = 0.85
"""Share of the video after which a card is taken for credits."""


def junk_frames(lights: Sequence[Light], black_level: float) -> np.ndarray:
    """(T,) of '', black, blank or fade for the frames of one span between cuts."""
    mean, contrast, bright = np.array([(x.mean, x.contrast, x.bright) for x in lights]).reshape(-1, 3).T
    kinds = np.full(len(mean), "", dtype="<U5")
    black = bright < black_level
    kinds[contrast < _BLANK] = "blank"
    kinds[black | ((contrast < _BLANK) & (mean < 2 * black_level))] = "black"
    plain = kinds != ""
    _black_still_fading(kinds, bright)
    for start, stop in spans(~plain):
        if start > 0 or contrast[start] < _NEARLY_PLAIN:
            kinds[start : start + _fade_length(contrast[start:stop])] = "fade"
        if stop < len(kinds) or contrast[stop - 1] < _NEARLY_PLAIN:
            kinds[stop - _fade_length(contrast[start:stop][::-1]) : stop] = "fade"
    return kinds


def _black_still_fading(kinds: np.ndarray, bright: np.ndarray) -> None:
    """Marks as fade, in `kinds` (T,), the outermost frames of a black stretch that are still falling into it or rising.

    A fade's last frames are darker than `black_level` and not yet black: the border of the shots lies where it ends.
    """
    for start, stop in spans(kinds == "black"):
        least = bright[start:stop].min() + _SETTLED
        first, last = start, stop
        while start > 0 and first < stop - 1 and bright[first] > least:
            first += 1
        while stop < len(kinds) and last > first + 1 and bright[last - 1] > least:
            last -= 1
        kinds[start:first] = kinds[last:stop] = "fade"


def _fade_length(contrast: np.ndarray) -> int:
    """How many frames belong to a fade that begins beside a plain picture; `contrast` walks away from it.

    In a fade the contrast keeps rising until the whole picture is there; that first whole frame is counted in, for
    safety. 0: there is no fade.
    """
    reached = 0
    for i in range(1, min(len(contrast), _FADE_LONGEST)):
        if contrast[i] > contrast[reached] * (1 + _FADE_STEP):
            reached = i
        elif i - reached > _FADE_PATIENCE:
            break
    return reached + 1 if contrast[reached] > _FADE_TOTAL * contrast[0] else 0


def spans(flags: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of the stretches of True in (T,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def card_layout(luma: np.ndarray, band: float) -> TextLayout | None:
    """The text of a picture that is nothing but text on a plain ground, else None; (h, w) uint8 luma."""
    if edge_map(np.ascontiguousarray(luma[::2, ::2]), _STRONG).mean() > _BUSY:
        return None
    layout = read_layout(luma, band)
    return layout if layout is not None and layout.is_card else None


def card_kind(num_lines: int, num_runs: int, num_frames: int, at: float) -> str:
    """title or credits: by the number of lines, by scrolling (nearly each frame another) and by the place in the video.

    `at` is in [0, 1].
    """
    scrolls = num_frames >= 12 and num_runs > 0.4 * num_frames
    return "credits" if num_lines >= _CREDITS_LINES or scrolls or at >= _CREDITS_FROM else "title"
