"""Files as they come: variable frame rate, interlaced, turned, HDR, cut off, or no videos at all."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tiny_show import encode

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.decode import VideoReader, list_videos
from fullcast.ingest.extract import extract_video
from fullcast.store.errors import UnreadableFile

CONFIG = IngestConfig(analysis_height=180)


def pictures(count: int, size: tuple[int, int] = (320, 180)) -> list[np.ndarray]:
    """Stripes that move: no two frames alike."""
    x = np.arange(size[0])[None, :, None]
    y = np.arange(size[1])[:, None, None]
    return [
        ((np.sin((x + 9 * i) / 11) * np.cos(y / 17) + 1) * 110 + np.array([0, 10, 20])).astype(np.uint8)
        for i in range(count)
    ]


def write(path: Path, frames: list[np.ndarray], pts: list[int] | None = None, **context: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            picture.pts = pts[i] if pts else round(i * 1000 / 24)
            picture.time_base = Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def test_timestamps_of_a_variable_frame_rate_are_kept(tmp_path: Path) -> None:
    pts = [0, 40, 90, 400, 410, 1000, 1300]
    reader = VideoReader(write(tmp_path / "v.mkv", pictures(7), pts), CONFIG)
    assert [round(f.time_s * 1000) for f in reader.frames()] == pts
    assert reader.damage == ""


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_in_words(tmp_path: Path, transfer: int, name: str) -> None:
    path = write(tmp_path / "hdr.mp4", pictures(5), color_trc=transfer)
    with pytest.raises(UnreadableFile, match=name) as caught:
        VideoReader(path, CONFIG)
    assert caught.value.reason == "hdr"


@pytest.mark.parametrize(("quarter_turns", "red"), [(1, "top"), (2, "right"), (3, "bottom")])
def test_what_a_telephone_filmed_upright_stands_upright(tmp_path: Path, quarter_turns: int, red: str) -> None:
    """Red at the left, and a matrix in the file that turns it clockwise by quarters."""
    path = tmp_path / "turned.mp4"
    half_red = np.zeros((96, 160, 3), np.uint8)
    half_red[:, :80] = (220, 30, 30)
    write(path, [half_red] * 5)
    turn(path, quarter_turns)
    frames = [f.picture.to_ndarray(format="rgb24") for f in VideoReader(path, IngestConfig()).frames()]
    shape = (160, 96) if quarter_turns % 2 else (96, 160)
    assert len(frames) == 5 and frames[0].shape[:2] == shape
    h, w = shape
    parts = {"top": (h // 4, w // 2), "bottom": (3 * h // 4, w // 2), "right": (h // 2, 3 * w // 4)}
    assert frames[0][parts[red]][0] > 150


def turn(path: Path, quarter_turns: int) -> None:
    """Writes a rotation into the track's header (ISO 14496-12, tkhd: nine numbers of 16.16 and 2.30 bits)."""
    a, b = {1: (0, 1), 2: (-1, 0), 3: (0, -1)}[quarter_turns]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = matrix
    path.write_bytes(data)


def woven(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Every second row is of the next frame."""
    mixed = [f.copy() for f in frames[:-1]]
    for a, b in zip(mixed, frames[1:], strict=True):
        a[1::2] = b[1::2]
    return mixed


def write_stream(path: Path, frames: list[np.ndarray], interlaced: bool, start: int = 0) -> Path:
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"} if interlaced else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for i, f in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(f, format="rgb24")
            frame.pts, frame.time_base = start + i, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def combs(rgb: np.ndarray) -> float:
    luma = rgb.astype(float).mean(2)
    return float(np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean())


def test_interlaced_pictures_lose_their_combs(tmp_path: Path) -> None:
    path = write_stream(tmp_path / "i.mkv", woven(pictures(12)), interlaced=True)
    reader = VideoReader(path, CONFIG)
    assert reader.interlaced
    mended = [reader.rgb(f.picture) for f in reader.frames()]
    assert len(mended) == 11
    raw = VideoReader(path, CONFIG.model_copy(update={"deinterlace": "never"}))
    woven_combs = np.mean([combs(raw.rgb(f.picture)) for f in raw.frames()])
    assert np.mean([combs(m) for m in mended]) < 0.3 * woven_combs


def test_pictures_that_are_interlaced_later_lose_their_combs_too_and_the_others_stay(tmp_path: Path) -> None:
    """A progressive stream of 30 frames, then an interlaced one, then the first again; joins cost a frame or two."""
    parts = [(pictures(30), False, 0), (woven(pictures(20)), True, 30), (pictures(10), False, 49)]
    data = b"".join(write_stream(tmp_path / "part.ts", *part).read_bytes() for part in parts)
    (tmp_path / "hybrid.ts").write_bytes(data)
    raw = VideoReader(tmp_path / "hybrid.ts", CONFIG.model_copy(update={"deinterlace": "never"}))
    before = [(f.time_s, f.picture.interlaced_frame, raw.rgb(f.picture)) for f in raw.frames()]
    reader = VideoReader(tmp_path / "hybrid.ts", CONFIG)
    after = [(f.time_s, reader.rgb(f.picture)) for f in reader.frames()]
    assert not reader.interlaced and [time for time, _ in after] == [time for time, _, _ in before]
    assert before[-1][0] - before[0][0] > 2
    both = [(woven, was, now) for (_, woven, was), (_, now) in zip(before, after, strict=True)]
    assert all(np.array_equal(was, now) for woven, was, now in both if not woven)
    later = [(combs(was), combs(now)) for woven, was, now in both if woven]
    assert len(later) > 12 and all(now < 0.3 * was for was, now in later)


def test_a_video_cut_off_gives_the_frames_before_the_damage(tmp_path: Path) -> None:
    whole = encode(pictures(96), tmp_path / "whole.mp4", g="12")
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    result = extract_video(cut, tmp_path / "out", CONFIG)
    assert 24 < result.video.num_frames < 96
    assert result.images
    (drop,) = [d for d in result.drops if d.reason == "truncated"]
    assert drop.item == "cut.mp4"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"this is no film\n" * 50, "not-a-video"), (b"\0\0\0\x20ftypisom" + b"\0" * 200, "truncated")],
)
def test_no_video_is_a_drop_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    result = extract_video(path, tmp_path / "out", CONFIG)
    assert result.video is None
    assert [(d.item, d.reason) for d in result.drops] == [("x.mp4", reason)]


def test_videos_are_listed_in_order_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("b/第1話.mp4", "a.MKV", "b/notes.txt", "b/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_videos(tmp_path)] == ["a.MKV", "b/a.mp4", "b/第1話.mp4"]


@pytest.mark.parametrize(("matrix", "name"), [(1, "ITU709"), (6, "ITU601")])
def test_colours_come_by_the_matrix_that_the_file_states(tmp_path: Path, matrix: int, name: str) -> None:
    red = np.zeros((180, 320, 3), np.uint8) + np.array([200, 40, 60], np.uint8)
    path = tmp_path / "red.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.colorspace = matrix
        frame = av.VideoFrame.from_ndarray(red, format="rgb24").reformat(format="yuv420p", dst_colorspace=name)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = VideoReader(path, CONFIG)
    rgb = reader.rgb(next(iter(reader.frames())).picture)
    assert np.abs(rgb.astype(int) - red).max() <= 4
