"""Videos to frames by PyAV: exact timestamps, upright, progressive, and what is damaged counted, not fatal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from fullcast.ingest.config import IngestConfig
from fullcast.store.errors import UnreadableFile

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".webm", ".mov", ".m4v", ".avi", ".ts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv"}
)

# Transfer functions by number (ITU-T H.273, table 3): their light is not that of an sRGB picture.
_HDR = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
_UNSPECIFIED = 2
# Degrees that the metadata states to filters that undo them.
_TURNS = {90: ("transpose=cclock",), -90: ("transpose=clock",), 180: ("hflip", "vflip"), -180: ("hflip", "vflip")}
_PROBE_FRAMES = 24
# A container says its video is longer than what could be decoded: sound may outlast pictures by a little.
_LENGTH_SLACK = (2.0, 0.05)
_SIGNATURES = (b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"FLV", b"\x00\x00\x01\xba", b"0&\xb2u", b"G@")


@dataclass(slots=True)
class Frame:
    """One decoded frame; `picture` is an upright progressive av.VideoFrame, which may be held without copying.

    Whoever holds it holds a full-size picture: set to None what is no longer needed.
    """

    index: int
    pts: int
    """Ticks of the stream's time_base."""
    time_s: float
    picture: Any


def list_videos(folder: Path) -> list[Path]:
    """Every file below `folder` that its suffix calls a video, sorted by path."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in VIDEO_SUFFIXES)


class VideoReader:
    """Decodes one video once. After the walk, `damage` says what was lost ('' if nothing).

    Raises `UnreadableFile` with reason ``empty``, ``not-a-video``, ``truncated`` (an index that was never written) or
    ``hdr``, when opened.
    """

    def __init__(self, path: Path, config: IngestConfig) -> None:
        self.path = path
        self.config = config
        self.damage = ""
        self.num_frames = 0
        with _open(path) as container:
            stream = container.streams.video[0]
            self.time_base: Fraction = stream.time_base or Fraction(1, 90000)
            self.frame_rate = float(stream.average_rate or stream.guessed_rate or 24)
            self.step = max(1, round(1 / (self.frame_rate * self.time_base)))
            """Ticks from one frame to the next, where the file gives no times."""
            self.expected_frames = int(stream.frames or 0)
            self.expected_s = _duration_s(container, stream)
            self.pixel_aspect = float(stream.sample_aspect_ratio or 1)
            """Width over height of one pixel; DVDs have other than 1."""
            first = self._probe(container, stream)
        self.width, self.height = first.width, first.height
        self.frame_bytes = sum(plane.buffer_size for plane in first.planes)
        """Of one frame as it was decoded: 10 bit take twice as much as 8."""
        if abs(self.rotation) == 90:
            self.width, self.height = self.height, self.width
            self.pixel_aspect = 1 / self.pixel_aspect

    def _probe(self, container: Any, stream: Any) -> Any:
        """Looks at the first frames: is it HDR, interlaced, turned?"""
        frames = []
        for frame in self._decode(container, stream):
            frames.append(frame)
            if len(frames) == _PROBE_FRAMES:
                break
        if not frames:
            raise UnreadableFile(self.path, "not-a-video", "no frame of it can be decoded; is the file whole?")
        self.damage = ""
        first = frames[0]
        transfer = int(first.color_trc)
        if transfer in _HDR:
            raise UnreadableFile(
                self.path,
                "hdr",
                f"its light is {_HDR[transfer]}, which would look washed out as sRGB; give a version mapped to SDR",
            )
        flagged = sum(bool(f.interlaced_frame) for f in frames)
        self.interlaced = self.config.deinterlace == "always" or (
            self.config.deinterlace == "auto" and flagged > len(frames) / 2
        )
        self.rotation = int(round((first.rotation or 0) / 90.0)) * 90
        self.is_filtered = False
        """Frames come through a filter graph by now, which may count time in other ticks."""
        return first

    def frames(self) -> Iterator[Frame]:
        """Every frame that decodes, in the order of presentation, with increasing time."""
        with _open(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            last = None
            for picture in self._upright(self._decode(container, stream), stream):
                pts = self._pts(picture, last)
                last = pts
                # The same as float(pts * time_base), without a Fraction for each frame.
                time_s = pts * self.time_base.numerator / self.time_base.denominator
                yield Frame(self.num_frames, pts, time_s, picture)
                self.num_frames += 1
        self._check_length(last)

    def _decode(self, container: Any, stream: Any) -> Iterator[Any]:
        """Frames of the readable packets; a damaged packet costs the frames that need it, not the file."""
        damaged = 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.error.FFmpegError, EOFError) as error:
                self.damage = f"reading stops early ({_words(error)})"
                break
            if packet.is_corrupt:
                damaged += 1
                continue
            try:
                yield from (f for f in packet.decode() if not f.is_corrupt)
            except av.error.FFmpegError:
                damaged += 1
        if damaged:
            self.damage = f"{damaged} damaged packets"

    def _upright(self, frames: Iterator[Any], stream: Any) -> Iterator[Any]:
        """Deinterlaced (bwdif, one picture for each frame) and turned as the metadata says.

        Where most of the first frames are interlaced, all are taken to be, whatever their flags; else those that are
        flagged, and until the first of them no filter is asked.
        """
        turn = _TURNS.get(self.rotation, ())
        bwdif = f"bwdif=mode=send_frame:parity=auto:deint={'all' if self.interlaced else 'interlaced'}"
        steps = turn if self.config.deinterlace == "never" else (bwdif, *turn)
        self.is_filtered = False
        graph = self._graph(steps, stream) if self.interlaced or turn else None
        for frame in frames:
            if graph is None and steps and frame.interlaced_frame:
                graph = self._graph(steps, stream)
            if graph is None:
                yield frame
            else:
                graph.push(frame)
                yield from _pull(graph)
        if graph is not None:
            graph.push(None)
            yield from _pull(graph)

    def _graph(self, steps: Sequence[str], stream: Any) -> Any:
        graph = av.filter.Graph()
        nodes = [graph.add_buffer(template=stream, time_base=self.time_base)]
        for step in steps:
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        self.is_filtered = True
        return graph

    def _pts(self, picture: Any, last: int | None) -> int:
        """In ticks of the stream; made up from the frame rate where the file has none."""
        if picture.pts is None:
            return 0 if last is None else last + self.step
        pts = picture.pts
        if self.is_filtered and picture.time_base and picture.time_base != self.time_base:
            pts = round(pts * picture.time_base / self.time_base)
        return pts if last is None or pts > last else last + 1

    def _check_length(self, last: int | None) -> None:
        end_s = 0.0 if last is None else float(last * self.time_base) + 1 / self.frame_rate
        missing = self.expected_frames - self.num_frames
        seconds, share = _LENGTH_SLACK
        if self.damage:
            return
        if missing > 2:
            self.damage = f"{self.num_frames} of {self.expected_frames} frames decode"
        elif not self.expected_frames and self.expected_s - end_s > max(seconds, share * self.expected_s):
            self.damage = f"pictures end at {end_s:.1f} s of {self.expected_s:.1f} s"

    def rgb(self, picture: Any) -> np.ndarray:
        """(H, W, 3) uint8 RGB of a frame's picture, by the matrix that the file states or that its size implies."""
        return picture.to_ndarray(format="rgb24", src_colorspace=self.matrix(picture))

    def matrix(self, picture: Any) -> str:
        stated = int(picture.colorspace)
        if stated == 1:
            return "ITU709"
        if stated in (9, 10):
            return "BT2020"
        if stated not in (0, _UNSPECIFIED):
            return "ITU601"
        guess = self.config.untagged_matrix
        if guess == "auto":
            guess = "bt709" if min(self.width, self.height) >= 720 else "bt601"
        return "ITU709" if guess == "bt709" else "ITU601"


def _pull(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _open(path: Path) -> Any:
    try:
        if path.stat().st_size == 0:
            raise UnreadableFile(path, "empty", "the file has no bytes")
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from error
    if not container.streams.video:
        container.close()
        raise UnreadableFile(path, "not-a-video", "the file holds no pictures; give a video (mp4, mkv, webm ...)")
    return container


def _unreadable(path: Path, error: Exception) -> UnreadableFile:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return UnreadableFile(path, "unreadable", f"cannot be read ({_words(error)})")
    if head[4:8] == b"ftyp":
        return UnreadableFile(path, "truncated", "an mp4 without its index: the end of the file is missing")
    if head.startswith(_SIGNATURES):
        return UnreadableFile(path, "truncated", f"a video whose beginning is damaged ({_words(error)})")
    return UnreadableFile(path, "not-a-video", "not a video in a format that can be read; give mp4, mkv, webm ...")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _duration_s(container: Any, stream: Any) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6
