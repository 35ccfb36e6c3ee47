"""What is true of a show, frame by frame: read here and in `pocket`, nowhere else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fullcast.records import UNKNOWN, Box, Image, iou
from fullcast.store.tables import read_records

JUNK = frozenset({"title", "black", "credits"})
"""Kinds of shot of which no frame should be kept."""

STORY_KINDS = frozenset({"story", "fade"})
"""Kinds of shot of which a frame must be kept; a `fade` is a shot of the story that ends in black."""

PICTURE_KINDS = STORY_KINDS | {"opening", "flashback"}
"""Kinds of shot that hold drawings; those of a flashback and of a later opening were seen before."""

SAME_CAMERA = 0.9
"""IoU of camera boxes from which two frames of one drawing are the same view."""


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One row of the table: a person in a frame, or a frame with nobody (``person_index`` -1)."""

    video: str
    """File name of the episode."""
    frame_index: int
    pts_s: float
    shot: int
    shot_kind: str
    """story | title | black | credits | opening | flashback | fade."""
    drawing: str
    """Frames with the same id show the same drawing."""
    camera_x0: float
    camera_y0: float
    camera_x1: float
    camera_y1: float
    people: int
    person_index: int
    character: str
    """'' for those who are nobody."""
    form: str
    x0: float
    y0: float
    x1: float
    y1: float
    head_x0: float
    head_y0: float
    head_x1: float
    head_y1: float
    visible: float


@dataclass(frozen=True, slots=True)
class TruePerson:
    character: str
    """Name in the cast or `unknown`."""
    form: str
    xyxy: Box
    """Visible part, in pixels of the video's frame."""
    head_xyxy: Box

    @property
    def name(self) -> str:
        return f"{self.character}/{self.form}" if self.form else self.character


@dataclass(frozen=True, slots=True)
class TrueFrame:
    video: str
    index: int
    time_s: float
    shot: int
    kind: str
    drawing: str
    camera: Box
    people: tuple[TruePerson, ...]

    def same_view(self, other: TrueFrame) -> bool:
        """The same drawing, seen by nearly the same camera: a true duplicate."""
        return self.drawing == other.drawing and iou(self.camera, other.camera) >= SAME_CAMERA


class Truth:
    """Frames of all episodes, found by episode and time."""

    def __init__(self, frames: Iterable[TrueFrame]) -> None:
        self.by_video: dict[str, list[TrueFrame]] = {}
        for frame in sorted(frames, key=lambda f: (f.video, f.time_s)):
            self.by_video.setdefault(frame.video, []).append(frame)
        self._times = {video: [frame.time_s for frame in frames] for video, frames in self.by_video.items()}

    @classmethod
    def read(cls, path: Path) -> Truth:
        """The table at ``path``; raises UnreadableFile naming a column that it lacks."""
        rows: dict[tuple[str, int], list[TruthRow]] = {}
        for row in read_records(path, TruthRow):
            rows.setdefault((row.video, row.frame_index), []).append(row)
        return cls(_frame(group) for group in rows.values())

    @property
    def frames(self) -> list[TrueFrame]:
        return [frame for frames in self.by_video.values() for frame in frames]

    def at(self, video: str, time_s: float) -> TrueFrame | None:
        """The frame of ``video`` nearest to a time, if it is nearer than half the spacing of frames there."""
        frames, times = self.by_video.get(video, []), self._times.get(video, [])
        place = bisect_left(times, time_s)
        near = [frames[i] for i in (place - 1, place) if 0 <= i < len(frames)]
        if not near:
            return None
        best = min(near, key=lambda frame: abs(frame.time_s - time_s))
        spacing = (times[-1] - times[0]) / max(1, len(times) - 1)
        return best if abs(best.time_s - time_s) <= spacing / 2 + 1e-6 else None


def _frame(rows: Sequence[TruthRow]) -> TrueFrame:
    first = rows[0]
    people = tuple(
        TruePerson(
            row.character or UNKNOWN,
            row.form,
            (row.x0, row.y0, row.x1, row.y1),
            (row.head_x0, row.head_y0, row.head_x1, row.head_y1),
        )
        for row in rows
        if row.person_index >= 0
    )
    camera = (first.camera_x0, first.camera_y0, first.camera_x1, first.camera_y1)
    return TrueFrame(
        first.video, first.frame_index, first.pts_s, first.shot, first.shot_kind, first.drawing, camera, people
    )


def match_images(images: Iterable[Image], truth: Truth, videos: Mapping[str, str]) -> dict[str, TrueFrame]:
    """Image id -> its true frame, for frames of videos that the truth knows; ``videos``: video id -> file name."""
    matched = {}
    for image in images:
        frame = truth.at(videos.get(image.video_id, ""), image.time_s)
        if frame is not None:
            matched[image.id] = frame
    return matched


def in_image(box: Box, image: Image) -> Box:
    """A box in pixels of the video's frame, as it lies in an image that was cut out of the frame (letterbox) and
    perhaps stretched (pixels that are not square); clipped to the image."""
    x0, y0, x1, y1 = image.frame_xyxy or (0.0, 0.0, float(image.width), float(image.height))
    sx, sy = image.width / (x1 - x0), image.height / (y1 - y0)
    left, top, right, bottom = (box[0] - x0) * sx, (box[1] - y0) * sy, (box[2] - x0) * sx, (box[3] - y0) * sy
    return max(0.0, left), max(0.0, top), min(float(image.width), right), min(float(image.height), bottom)
