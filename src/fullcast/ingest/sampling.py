"""Which frames of a shot are kept: each distinct drawing once, as sharp as it comes, and each view of a moving camera.

Frames become *runs* (a drawing held for two or three frames, or for seconds); runs are matched against every drawing
kept of the shot, since talking mouths go A-B-A-B; while the camera moves, views are compared after registration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fullcast.ingest.camera import Motion, register, warp
from fullcast.ingest.compare import Difference, Surface, Tolerances, aligned_difference, difference
from fullcast.ingest.decode import Frame
from fullcast.ingest.fingerprint import Fingerprint
from fullcast.ingest.planes import mean_laplacian, shrink
from fullcast.records import Image

# Share of edge pixels that change at once when the camera moves: the slowest zoom of the pocket show changes 0.08, a
# figure's new pose 0.02 to 0.05.
_CAMERA_MOVED = 0.04
# Above this it is another picture if the camera does not explain it.
_ALL_CHANGED = 0.3
_AGREES = 0.6
# How far the overlap that registration finds is off: views that overlap by just the limit must not count as new.
_IOU_ERROR = 0.004
# Means of 16x16 pixels: a change of this many levels is another drawing without a closer look.
_OBVIOUS = 40.0
_COARSE, _REGISTER = 16, 2


@dataclass(slots=True)
class Run:
    """Frames in a row that show one drawing with the same subtitles."""

    first: int
    """Frame index in the video."""
    last: int
    anchor: Surface
    """The first frame: the others are compared with it, so that slow motion adds up to a change."""
    frame: Frame
    """The sharpest frame, full size."""
    surface: Surface
    sharpness: float
    card: str = ""
    """Why no frame of this run can be kept (black, fade, title, credits ...), '' if it can."""
    num_lines: int = 0
    _small: np.ndarray | None = field(default=None, repr=False)
    _coarse: np.ndarray | None = field(default=None, repr=False)

    @property
    def num_frames(self) -> int:
        return self.last - self.first + 1

    @property
    def small(self) -> np.ndarray:
        """(h / 2, w / 2) float32 for registration."""
        if self._small is None:
            self._small = shrink(self.surface.luma, _REGISTER)
        return self._small

    def crop(self, left: int, top: int, right: int, bottom: int) -> None:
        """Compare without so many pixels at each side from now on: bars stand still while the camera moves.

        Two more go with each bar, where the codec rings beside it.
        """
        h, w = self.surface.luma.shape
        left, top, right, bottom = (bar + 2 if bar else 0 for bar in (left, top, right, bottom))
        self.surface = Surface(self.surface.luma[top : h - bottom, left : w - right])

    def release(self) -> None:
        """Lets the full-size picture go."""
        self.frame.picture = None

    @property
    def coarse(self) -> np.ndarray:
        if self._coarse is None:
            self._coarse = shrink(self.surface.luma, _COARSE)
        return self._coarse


class Runs:
    """Groups a stream of frames into runs."""

    def __init__(self, tolerances: Tolerances) -> None:
        # A new subtitle starts a new run, so that the one without text can be chosen later.
        self._tolerances = Tolerances(tolerances.floor, tolerances.edge, tolerances.threshold, subtitle_band=0.0)
        self._upper = 1 - tolerances.subtitle_band
        self.done: list[Run] = []
        self._open: Run | None = None

    def add(self, frame: Frame, luma: np.ndarray) -> None:
        surface = Surface(luma)
        # Text is sharp: without the band, a subtitle does not make a frame look better.
        sharpness = mean_laplacian(luma[: int(len(luma) * self._upper)])
        run = self._open
        if run is not None and difference(run.anchor, surface, self._tolerances).same:
            run.last = frame.index
            if sharpness > run.sharpness:
                run.frame, run.surface, run.sharpness = frame, surface, sharpness
            return
        self.close()
        self._open = Run(frame.index, frame.index, surface, frame, surface, sharpness)

    def close(self) -> None:
        if self._open is not None:
            self.done.append(self._open)
            self._open = None


@dataclass(slots=True)
class Kept:
    """One drawing of a shot, seen by one camera."""

    run: Run
    """The best of the runs that show it."""
    anchor: Run
    """The first: what others are matched with, so that small changes do not add up unseen."""
    motion: Motion
    """From the first view of its segment to this one."""
    segment: int
    has_text: bool
    num_frames: int
    stored: tuple[Image, Fingerprint] | None = None
    """What became of it when it had to be written before its shot ended; it is final then."""


class DrawingMatcher:
    """The distinct drawings of one shot, run by run in order of time."""

    def __init__(self, tolerances: Tolerances, camera_iou: float, aspect: float, keep_last: int = 400) -> None:
        """`aspect`: height over width of the camera's view; black bars hide some of it and do not make it smaller."""
        self.kept: list[Kept] = []
        self._aspect = aspect
        self._tolerances = tolerances
        self._iou = camera_iou - _IOU_ERROR
        self._keep_last = keep_last
        self._previous: Run | None = None
        self._motion = Motion()
        self._segment = 0

    def add(self, run: Run) -> None:
        self._follow_camera(run)
        match = self._find(run)
        if match is None:
            text = bool(run.surface.subtitles(self._tolerances.subtitle_band).any())
            self.kept.append(Kept(run, run, self._motion, self._segment, text, run.num_frames))
        self._previous = run

    def _follow_camera(self, run: Run) -> None:
        """Updates the camera's motion since the segment began; a picture that cannot be followed begins another."""
        if self._previous is None:
            return
        change = difference(self._previous.surface, run.surface, self._tolerances)
        if change.same or change.moved < _CAMERA_MOVED:
            return
        found = register(self._previous.small, run.small)
        if found.agreement >= _AGREES:
            if not found.motion.is_still:
                self._motion = found.motion.after(self._motion)
        elif change.moved > _ALL_CHANGED:
            self._segment += 1
            self._motion = Motion()

    def _find(self, run: Run) -> Kept | None:
        """The kept drawing that this run shows again, its count and best picture brought up to date."""
        for kept in self._likely(run):
            change = difference(kept.anchor.surface, run.surface, self._tolerances)
            if change.same:
                self._merge(kept, run)
                self._segment, self._motion = kept.segment, kept.motion
                return kept
            if kept.segment == self._segment and self._same_moved(kept, run, change):
                kept.num_frames += run.num_frames
                return kept
        return None

    def _likely(self, run: Run) -> list[Kept]:
        """Kept drawings that are worth a closer look, latest first."""
        recent = self.kept[-self._keep_last :][::-1]
        if not recent:
            return []
        rows = int(run.coarse.shape[0] * (1 - self._tolerances.subtitle_band))
        stack = np.stack([k.anchor.coarse[:rows] for k in recent])
        near = np.abs(stack - run.coarse[:rows]).max((1, 2)) < _OBVIOUS
        return [k for k, is_near in zip(recent, near, strict=True) if is_near or self._may_overlap(k)]

    def _may_overlap(self, kept: Kept) -> bool:
        if kept.segment != self._segment or kept.motion == self._motion:
            return False
        return self._relative(kept).overlap(self._aspect) > self._iou - 0.06

    def _same_moved(self, kept: Kept, run: Run, change: Difference) -> bool:
        """Is it the same drawing seen by a camera that moved less than would make a new view?"""
        if kept.motion == self._motion and change.moved < _CAMERA_MOVED:
            return False
        found = register(kept.anchor.small, run.small, self._relative(kept))
        # A camera at rest was judged already, and more strictly.
        if found.agreement < _AGREES or found.motion.is_still or found.motion.overlap(self._aspect) < self._iou:
            return False
        seen, valid = warp(run.surface.luma, found.motion)
        warped = Surface(np.clip(seen + 0.5, 0, 255).astype(np.uint8))
        return aligned_difference(kept.anchor.surface, warped, valid, self._tolerances).same

    def _relative(self, kept: Kept) -> Motion:
        return self._motion.after(kept.motion.back())

    def _merge(self, kept: Kept, run: Run) -> None:
        """Without text before with, then the sharper."""
        kept.num_frames += run.num_frames
        text = bool(run.surface.subtitles(self._tolerances.subtitle_band).any())
        if kept.stored is None and (not text, run.sharpness) > (not kept.has_text, kept.run.sharpness):
            kept.run.release()
            kept.run, kept.has_text = run, text
