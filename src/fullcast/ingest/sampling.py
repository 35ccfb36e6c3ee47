"""Which frames of a shot are kept: each distinct drawing once, as sharp as it comes, and each view of a moving camera.

Frames become *runs* (a drawing held for two or three frames, or for seconds); runs are matched against every drawing
kept of the shot, since talking mouths go A-B-A-B; while the camera moves, views are compared after registration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from fullcast.ingest.camera import Motion, Registration, View, register, warp
from fullcast.ingest.compare import Difference, Surface, Tolerances, aligned_difference, difference, is_same
from fullcast.ingest.decode import Frame
from fullcast.ingest.fingerprint import Fingerprint
from fullcast.ingest.planes import Small, focus, mean_laplacian, shrink
from fullcast.records import Image

# Share of edge pixels that change at once when the camera moves: the slowest zoom of the pocket show changes 0.08, a
# figure's new pose 0.02 to 0.05.
_CAMERA_MOVED = 0.04
# ... and edges change in this share of the picture's tiles at least; a pose changes some places only. About the point
# that a zoom aims at nothing moves: at 1.004 a frame, from a frame of flat sky and grass, 0.34 of the tiles change.
_EVERYWHERE = 0.3
# Above this it is another picture if the camera does not explain it.
_ALL_CHANGED = 0.3
_AGREES = 0.6
# How far the overlap that registration finds is off: views that overlap by just the limit must not count as new.
_IOU_ERROR = 0.004
# Means of 16x16 pixels: a change of this many levels is another drawing without a closer look.
_OBVIOUS = 40.0
# Levels of the thumbnail, on average, by which light steps between two frames: a cut may be found from 5 on, and a run
# that reached over it would be in neither shot.
_ANOTHER_LIGHT = 4.0
# Widths of the picture (2 pixels of 640) from which a view counts as another without a look at the pixels.
_ELSEWHERE = 0.003
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
    """`planes.focus` of that frame."""
    card: str = ""
    """Why no frame of this run can be kept (black, fade, title, credits ...), '' if it can."""
    num_lines: int = 0
    _view: View | None = field(default=None, repr=False)
    _coarse: np.ndarray | None = field(default=None, repr=False)

    @property
    def num_frames(self) -> int:
        return self.last - self.first + 1

    @property
    def mean_laplacian(self) -> float:
        """Of the sharpest frame: the sharpness that records state."""
        return mean_laplacian(self.surface.luma)

    @property
    def view(self) -> View:
        """(h / 2, w / 2) for registration."""
        if self._view is None:
            self._view = View(shrink(self.surface.luma, _REGISTER))
        return self._view

    def crop(self, left: int, top: int, right: int, bottom: int) -> None:
        """Compare without so many pixels at each side from now on: bars stand still while the camera moves.

        Two more go with each bar, where the codec rings beside it.
        """
        h, w = self.surface.luma.shape
        left, top, right, bottom = (bar + 2 if bar else 0 for bar in (left, top, right, bottom))
        self.surface = Surface(self.surface.luma[top : h - bottom, left : w - right])
        self._view = self._coarse = None

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
        self._tolerances = tolerances
        self._upper = 1 - tolerances.subtitle_band
        self.done: list[Run] = []
        self._open: Run | None = None
        self._before: Small | None = None

    def add(self, frame: Frame, small: Small) -> None:
        run = self._open
        if run is not None and small is self._before:  # not a bit of it changed
            run.last = frame.index
            return
        lit_alike = self._before is None or _light_step(self._before, small) < _ANOTHER_LIGHT
        self._before = small
        surface = Surface(small.luma)
        # Text is sharp: without the band, a subtitle does not make a frame look better.
        sharpness = focus(small.luma[: int(len(small.luma) * self._upper)])
        if run is not None and lit_alike and is_same(run.anchor, surface, self._tolerances):
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


def _light_step(a: Small, b: Small) -> float:
    return cv2.norm(a.thumbnail, b.thumbnail, cv2.NORM_L1) / a.thumbnail.size


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
        # The camera's motion between the last two runs that were looked at.
        self._step = Motion()
        # What following the camera to the present run found, so that matching need not ask again.
        self._registered: tuple[Kept, Registration] | None = None
        self._passed = False

    def add(self, run: Run) -> None:
        if self._can_pass(run):
            self.kept[-1].num_frames += run.num_frames
            self._passed = True
            return
        self._passed = False
        self._follow_camera(run)
        match = self._find(run)
        if match is None:
            text = bool(run.surface.subtitles(self._tolerances.subtitle_band).any())
            self.kept.append(Kept(run, run, self._motion, self._segment, text, run.num_frames))
        self._previous = run

    def _can_pass(self, run: Run) -> bool:
        """While the camera moves evenly, every second single frame is passed over if the view cannot be new by then.

        Drawings that move while the camera does are held for two frames at least, so that none is missed.
        """
        if self._passed or run.num_frames > 1 or self._step.is_still or not self.kept:
            return False
        kept = self.kept[-1]
        if kept.segment != self._segment or self._registered is None or self._registered[0] is not kept:
            return False
        ahead = self._step.after(self._step.after(self._relative(kept)))
        return ahead.overlap(self._aspect) > self._iou

    def _follow_camera(self, run: Run) -> None:
        """Updates the camera's motion since the segment began; a picture that cannot be followed begins another."""
        self._registered = None
        if self._previous is None:
            return
        before = self._motion
        if self._follow_kept(run) is not None and self._registered is not None:
            kept, found = self._registered
            self._motion = found.motion.after(kept.motion)
            self._step = self._motion.after(before.back())
            return
        change = difference(self._previous.surface, run.surface, self._tolerances)
        if change.same or change.moved < _CAMERA_MOVED or change.spread < _EVERYWHERE:
            self._step = Motion()
            return
        found = register(self._previous.view, run.view)
        if found.agreement >= _AGREES:
            if not found.motion.is_still:
                self._motion = found.motion.after(self._motion)
        elif change.moved > _ALL_CHANGED:
            self._segment += 1
            self._motion = before = Motion()
        self._step = self._motion.after(before.back())

    def _follow_kept(self, run: Run) -> Registration | None:
        """The motion from the latest kept view, where the camera goes on as before; None: it must be searched for."""
        if self._step.is_still or not self.kept or self.kept[-1].segment != self._segment:
            return None
        kept = self.kept[-1]
        guess = self._step.after(self._relative(kept))
        if guess.overlap(self._aspect) < self._iou - 0.2:
            return None
        found = register(kept.anchor.view, run.view, guess)
        if found.agreement < _AGREES:
            return None
        self._registered = kept, found
        return found

    def _find(self, run: Run) -> Kept | None:
        """The kept drawing that this run shows again, its count and best picture brought up to date."""
        for kept in self._likely(run):
            change = None
            if not self._is_seen_elsewhere(kept):
                change = difference(kept.anchor.surface, run.surface, self._tolerances)
                if change.same:
                    self._merge(kept, run)
                    self._segment, self._motion = kept.segment, kept.motion
                    return kept
            if kept.segment == self._segment and self._same_moved(kept, run, change):
                kept.num_frames += run.num_frames
                return kept
        return None

    def _is_seen_elsewhere(self, kept: Kept) -> bool:
        """The camera is known to look at another place now: every pixel differs, and only a warped picture tells."""
        if self._registered is None or kept.segment != self._segment:
            return False
        motion = self._relative(kept)
        return max(abs(motion.dx), abs(motion.dy), abs(motion.scale - 1) / 2) > _ELSEWHERE

    def _likely(self, run: Run) -> list[Kept]:
        """Kept drawings that are worth a closer look, latest first."""
        recent = self.kept[-self._keep_last :][::-1]
        if not recent:
            return []
        rows = int(run.coarse.shape[0] * (1 - self._tolerances.subtitle_band))
        near = [cv2.norm(k.anchor.coarse[:rows], run.coarse[:rows], cv2.NORM_INF) < _OBVIOUS for k in recent]
        return [k for k, is_near in zip(recent, near, strict=True) if is_near or self._may_overlap(k)]

    def _may_overlap(self, kept: Kept) -> bool:
        if kept.segment != self._segment or kept.motion == self._motion:
            return False
        return self._relative(kept).overlap(self._aspect) > self._iou - 0.06

    def _same_moved(self, kept: Kept, run: Run, change: Difference | None) -> bool:
        """Is it the same drawing seen by a camera that moved less than would make a new view? `change`: between the
        pictures as they are, where that was looked at."""
        still = change is not None and (change.moved < _CAMERA_MOVED or change.spread < _EVERYWHERE)
        if kept.motion == self._motion and still:
            return False
        found = self._registration(kept, run)
        # A camera at rest was judged already, and more strictly.
        if found.agreement < _AGREES or found.motion.is_still or found.motion.overlap(self._aspect) < self._iou:
            return False
        seen, shown = warp(run.surface.luma, found.motion)
        return aligned_difference(kept.anchor.surface, Surface(seen), shown, self._tolerances).same

    def _registration(self, kept: Kept, run: Run) -> Registration:
        if self._registered is not None and self._registered[0] is kept:
            return self._registered[1]
        return register(kept.anchor.view, run.view, self._relative(kept))

    def _relative(self, kept: Kept) -> Motion:
        return self._motion.after(kept.motion.back())

    def _merge(self, kept: Kept, run: Run) -> None:
        """Without text before with, then the sharper."""
        kept.num_frames += run.num_frames
        text = bool(run.surface.subtitles(self._tolerances.subtitle_band).any())
        if kept.stored is None and (not text, run.sharpness) > (not kept.has_text, kept.run.sharpness):
            kept.run.release()
            kept.run, kept.has_text = run, text
