"""One video to its shots and kept frames: decoded once, in bounded memory.

Frames stream through grouping into runs; a shot is decided when the cut that ends it is sure; only then are its kept
frames converted to full-size RGB and written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from fullcast.ingest.compare import Tolerances
from fullcast.ingest.config import IngestConfig
from fullcast.ingest.decode import VideoReader
from fullcast.ingest.fingerprint import Fingerprint
from fullcast.ingest.junk import card_kind, card_layout, junk_frames, spans
from fullcast.ingest.letterbox import NO_BARS, Bars, find_bars
from fullcast.ingest.planes import Shrinker, lights_of
from fullcast.ingest.sampling import DrawingMatcher, Kept, Run, Runs
from fullcast.ingest.writing import FrameFiles, FrameStore
from fullcast.models.base import ShotDetector
from fullcast.models.shots import Cuts
from fullcast.ports import Progress, silent
from fullcast.records import Drop, Image, Shot, Video
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import file_id

VERSION = 7
"""Raised when the same video gives other frames, shots or fingerprints. 6: light that steps parts two shots' frames;
7: frames say whether they are subtitled, and lose the combs of later interlaced parts."""

STAGE = "ingest"

# Cuts are looked for every 120 frames in a window with 40 frames of context on either side.
_STEP, _CONTEXT = 120, 40
# Black for fewer frames than this is a flicker, not a border between shots.
_BLACK_SHOT = 3
_BLACK_BESIDE_CARD = 12
# Two cards that stand still for so many frames each are two shots, though their ground is one: half a second at 24 fps.
_CARD_SHOT = 12
# Means of 16x16 pixels: letters that appear change one of them by more levels than this.
_NEW_TEXT = 10.0


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What one video gave. `video` is None when it could not be opened; then `drops` says why."""

    video: Video | None
    shots: list[Shot] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)


def extract_video(
    path: Path,
    out_dir: Path,
    config: IngestConfig,
    progress: Progress = silent,
    *,
    root: Path | None = None,
    detector: ShotDetector | None = None,
) -> VideoResult:
    """Writes the kept frames of the video at `path` as PNG files into `out_dir`.

    Paths in the records are relative to `root` (default: `out_dir`); a video outside it is named by its file name.
    A file that is no readable video gives a result with one Drop; a damaged one what can be read, and a Drop.

    Raises what writing raises (a full disk); never for a bad video.
    """
    root = root or out_dir
    name = _relative(path, root)
    try:
        reader = VideoReader(path, config)
    except UnreadableFile as error:
        return VideoResult(None, drops=[Drop(name, STAGE, error.reason, error.detail)])
    video_id = file_id(path)
    files = FrameFiles(reader, video_id, out_dir, lambda file: _relative(file, root))
    work = Extraction(reader, video_id, files, config, detector or Cuts())
    progress.start(f"frames of {path.name}", max(reader.expected_frames, 1))
    work.run(progress)
    progress.done()
    if work.num_frames == 0:
        return VideoResult(None, drops=[Drop(name, STAGE, "not-a-video", "no frame of it can be decoded")])
    return work.result(name)


class Extraction:
    """The state of one walk through a video."""

    def __init__(
        self, reader: VideoReader, video_id: str, files: FrameStore, config: IngestConfig, detector: ShotDetector
    ) -> None:
        self.reader, self.video_id, self.files = reader, video_id, files
        self.config, self.detector = config, detector
        self.shrink = Shrinker(reader.width, reader.height, config.analysis_height)
        self.tolerances = Tolerances(
            config.noise_floor,
            config.edge_tolerance,
            config.drawing_threshold * self._noise_gain(),
            config.subtitle_band,
        )
        self.most_pending = max(8, int(config.buffer_mb * 2**20 / reader.frame_bytes))
        self.thumbnails: list[np.ndarray] = []
        """(27, 48, 3) uint8 RGB of the latest frames, frames alike share one; those of decided shots are let go."""
        self.first_thumbnail = 0
        """The frame that the first of them shows."""
        self.times: list[float] = []
        self.runs = Runs(self.tolerances)
        self.span = _Span(0, self._matcher())
        self.searched = 0
        """Frames before this one have been searched for cuts."""
        self.shots: list[Shot] = []
        self.images: list[Image] = []
        self.fingerprints: list[Fingerprint] = []
        self.dropped: Counter[tuple[str, str]] = Counter()

    def _noise_gain(self) -> float:
        """Shrinking by 2 or more averages compression away; measured: the noise at no shrinking is 3 to 5 times."""
        return max(1.0, 2 * self.shrink.height / self.reader.height) ** 1.5

    @property
    def num_frames(self) -> int:
        return len(self.times)

    def _matcher(self) -> DrawingMatcher:
        return DrawingMatcher(self.tolerances, self.config.camera_iou, self.shrink.height / self.shrink.width)

    def run(self, progress: Progress) -> None:
        for frame in self.reader.frames():
            small = self.shrink(frame.picture)
            self.thumbnails.append(small.thumbnail)
            self.times.append(frame.time_s)
            self.runs.add(frame, small)
            if self.num_frames - self.searched >= _STEP + _CONTEXT:
                self._search(self.num_frames - _CONTEXT)
            progress.advance()
        self.runs.close()
        if self.num_frames:
            self._search(self.num_frames)
            self._end_span(self.num_frames)

    def _search(self, stop: int) -> None:
        """Cuts in [searched, stop) end spans; a span that waits too long is decided in parts."""
        start = max(0, self.searched - _CONTEXT)
        window = np.stack(self._thumbnails(start, stop + _CONTEXT))
        for cut in sorted(start + c for c in self.detector.cuts(window)):
            if max(self.searched, self.span.start + 1) <= cut < stop:
                self._end_span(cut)
        self.searched = stop
        if len(self.runs.done) > self.most_pending:
            self._decide(self._take(stop), stop)
            self._store_early()

    def _thumbnails(self, start: int, stop: int) -> list[np.ndarray]:
        return self.thumbnails[start - self.first_thumbnail : stop - self.first_thumbnail]

    def _forget(self, before: int) -> None:
        """Lets go what no search and no open span needs."""
        num = max(0, min(before, self.searched - _CONTEXT) - self.first_thumbnail)
        self.thumbnails = self.thumbnails[num:]
        self.first_thumbnail += num

    def _store_early(self) -> None:
        """A long shot of ever new drawings: all but the latest are written now, by the bars seen so far."""
        span = self.span
        for kept in span.matcher.kept:
            if kept.stored is None:
                kept.stored = self._store(kept, span.bars or NO_BARS)
                kept.run.release()
                kept.anchor.release()

    def _take(self, stop: int) -> list[Run]:
        """The pending runs that begin before `stop`."""
        taken = [r for r in self.runs.done if r.first < stop]
        self.runs.done = self.runs.done[len(taken) :]
        return taken

    def _decide(self, runs: list[Run], stop: int) -> None:
        """Junk is marked, the rest matched. Frames of what is not kept are let go."""
        span = self.span
        kinds = self._junk(span.start, stop)
        for run in runs:
            run.card = str(kinds[_inside(run, span.start, stop) - span.start])
            if not run.card and self.config.drop_text_cards:
                self._read_card(run)
            span.runs.append(_Seen(max(run.first, span.start), run.last, run.card, run.num_lines))
            span.lumas.see(run)
        if span.bars is None:
            span.bars = find_bars(span.lumas.samples) if self.config.crop_letterbox else NO_BARS
        for run in runs:
            if not run.card:
                if span.bars != NO_BARS:
                    run.crop(*span.bars)
                span.matcher.add(run)

    def _junk(self, start: int, stop: int) -> np.ndarray:
        thumbnails = self._thumbnails(start, stop)
        fresh = {id(thumbnail): thumbnail for thumbnail in thumbnails}
        lights = dict(zip(fresh, lights_of(np.stack(list(fresh.values()))), strict=True))
        return junk_frames([lights[id(thumbnail)] for thumbnail in thumbnails], self.config.black_level)

    def _read_card(self, run: Run) -> None:
        """Is it a card? Pans and scrolling text make each frame a run: four in a row share one reading."""
        span = self.span
        recent = span.runs[-3:]
        if len(recent) == 3 and len(span.runs) % 4 and len({s.card for s in recent}) == 1:
            run.card, run.num_lines = recent[-1].card, recent[-1].num_lines
            if run.card in ("", "card"):
                return
            run.card, run.num_lines = "", 0
        if span.no_card is not None and cv2.norm(span.no_card, run.coarse, cv2.NORM_INF) < _NEW_TEXT:
            return
        layout = card_layout(run.surface.luma, self.config.subtitle_band)
        span.no_card = run.coarse if layout is None else None
        if layout is not None:
            run.card, run.num_lines = "card", layout.num_lines

    def _end_span(self, stop: int) -> None:
        """Writes down the shots of a span between two cuts, and their kept frames."""
        self._decide(self._take(stop), stop)
        span = self.span
        bars = span.bars or NO_BARS
        kinds = self._kinds(span, stop)
        ordered = sorted(span.matcher.kept, key=lambda k: k.run.frame.index)
        kept = [(_inside(k.run, span.start, stop), k) for k in ordered]
        cards = [(seen.first, seen.num_frames) for seen in span.runs if seen.card == "card"]
        for start, end in _shot_borders(kinds == "black", _card_borders(cards, span.start)):
            self._write_shot(span.start + start, span.start + end, kinds[start:end], kept, bars)
        self.span = _Span(stop, self._matcher())
        self._forget(stop)

    def _kinds(self, span: _Span, stop: int) -> np.ndarray:
        """(T,) of '', black, blank, fade, title or credits for each frame of the span."""
        kinds = self._junk(span.start, stop).astype("<U8")
        for seen in span.runs:
            if seen.card == "card":
                kinds[seen.first - span.start : seen.last + 1 - span.start] = "card"
        cards = [s for s in span.runs if s.card == "card"]
        if cards:
            lines = max(s.num_lines for s in cards)
            frames = sum(s.num_frames for s in cards)
            length_s = max(self.reader.expected_s, self.times[-1], 1e-6)
            name = card_kind(lines, len(cards), frames, self.times[span.start] / length_s)
            kinds[kinds == "card"] = name
            # Half-scrolled lines are hard to read as text: what stands among cards is one.
            if frames > 0.5 * np.count_nonzero((kinds == "") | (kinds == name)):
                kinds[kinds == ""] = name
                # Credits roll in over black: a few letters are not yet seen as text.
                for start, stop in spans(kinds == "black"):
                    if stop - start < _BLACK_BESIDE_CARD:
                        kinds[start:stop] = name
        return kinds

    def _write_shot(self, start: int, end: int, kinds: np.ndarray, kept: list[tuple[int, Kept]], bars: Bars) -> None:
        """kept: by the frame of the span that each stands for."""
        shot_id = f"{self.video_id}:{len(self.shots):04d}"
        counts = Counter(str(k) for k in kinds)
        story = counts[""] > 0
        kind = "story" if story else counts.most_common(1)[0][0]
        end_s = self.times[end] if end < self.num_frames else self.times[-1] + 1 / self.reader.frame_rate
        self.shots.append(Shot(shot_id, self.video_id, len(self.shots), self.times[start], end_s, kind))
        for reason, count in counts.items():
            if reason:
                self.dropped[shot_id, reason] += count
        num_written = 0
        for frame, k in kept:
            if not start <= frame < end:
                continue
            if kinds[frame - start]:
                if k.stored is not None:
                    self.files.remove(k.stored[0])
                continue
            image, fingerprint = k.stored or self._store(k, bars)
            self.images.append(replace(image, shot_id=shot_id))
            self.fingerprints.append(fingerprint)
            num_written += 1
        if story:
            self.dropped[shot_id, "held"] += counts[""] - num_written

    def _store(self, kept: Kept, bars: Bars) -> tuple[Image, Fingerprint]:
        return self.files.store(kept, bars, (self.shrink.width, self.shrink.height))

    def result(self, name: str) -> VideoResult:
        drops = [
            Drop(shot_id, STAGE, reason, f"{count} frames")
            for (shot_id, reason), count in self.dropped.items()
            if count
        ]
        if self.reader.damage:
            drops.append(Drop(name, STAGE, "truncated", self.reader.damage))
        reader = self.reader
        end_s = self.times[-1] + 1 / reader.frame_rate
        video = Video(
            self.video_id, name, reader.width, reader.height, reader.frame_rate, self.num_frames, end_s - self.times[0]
        )
        return VideoResult(video, self.shots, self.images, drops, self.fingerprints)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What remains of a run once it was decided."""

    first: int
    last: int
    card: str
    num_lines: int

    @property
    def num_frames(self) -> int:
        return self.last - self.first + 1


class _Lumas:
    """A few lumas spread over a span, for the letterbox: at every power of two, the latest kept."""

    def __init__(self, most: int = 8) -> None:
        self.samples: list[np.ndarray] = []
        self._most, self._every, self._count = most, 1, 0

    def see(self, run: Run) -> None:
        if run.card in ("black", "blank", "card"):
            return
        if self._count % self._every == 0:
            self.samples.append(run.surface.luma)
            if len(self.samples) > self._most:
                self.samples = self.samples[::2]
                self._every *= 2
        self._count += 1


@dataclass(slots=True)
class _Span:
    """Frames between two cuts."""

    start: int
    matcher: DrawingMatcher
    no_card: np.ndarray | None = None
    """`Run.coarse` of the picture that was last found to be no card."""
    bars: Bars | None = None
    """By the frames that were decided first; all, unless the span was long."""
    runs: list[_Seen] = field(default_factory=list)
    lumas: _Lumas = field(default_factory=_Lumas)


def _inside(run: Run, start: int, stop: int) -> int:
    """The run's sharpest frame; the nearest in [start, stop) where a cut fell into the run and that is beyond it."""
    return min(max(run.frame.index, start), stop - 1)


def _card_borders(cards: Sequence[tuple[int, int]], start: int) -> list[int]:
    """Where one card follows another; cards: (first frame, frames) of each drawing of text, in order. Scrolling credits
    change nearly every frame, letters that appear one by one every few."""
    return [
        after - start
        for (first, held), (after, next_held) in pairwise(cards)
        if first + held == after and min(held, next_held) >= _CARD_SHOT
    ]


def _shot_borders(black: np.ndarray, cards: Iterable[int] = ()) -> Iterable[tuple[int, int]]:
    """A span falls apart at its stretches of black and between its cards: [start, end) of each part, in order."""
    borders = {0, len(black), *cards}
    for start, stop in spans(black):
        if stop - start >= _BLACK_SHOT or stop - start == len(black):
            borders |= {start, stop}
    marks = sorted(borders)
    return zip(marks[:-1], marks[1:], strict=True)


def _relative(path: Path, root: Path) -> str:
    """POSIX path below `root`; the mere name of what lies elsewhere, for no absolute path is stored."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name
