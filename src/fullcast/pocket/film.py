"""A script becomes an H.264 file and the truth about each of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from fullcast.pocket.scene import Composed, Seen, compose, seen_in
from fullcast.pocket.script import FRAME_RATE, Episode, Frame, ScriptShot
from fullcast.ports import Progress, silent
from fullcast.store.atomic import replacing

WIDTH, HEIGHT = 1280, 720
BAR_PX = 90
"""Height of each black bar of a letterboxed shot (2.37 : 1)."""


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """What is true of one frame."""

    frame_index: int
    shot: int
    shot_kind: str
    drawing: str
    """Equal for frames that show the same drawing, in any shot and episode; '' for cards."""
    camera: tuple[float, float, float, float]
    seen: list[Seen]


def film(episode: Episode, path: Path, progress: Progress = silent) -> list[FrameTruth]:
    """Write the episode (atomically, always the same bytes) and return the truth about it, frame by frame."""
    import av

    truths: list[FrameTruth] = []
    progress.start(f"episode {episode.number}", episode.num_frames)
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FRAME_RATE)
        # threads=1: x264 with several threads may cut frames into slices, and the bytes would depend on the machine
        stream.options = {"crf": str(episode.crf), "preset": "veryfast", "threads": "1", "g": "96"}
        stream.codec_context.thread_count = 1
        # as broadcast HD: BT.709, and said so; players take untagged files of this size for BT.709, while swscale's
        # default matrix is BT.601, and reds and blues would come out 14 levels off
        for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):
            setattr(stream.codec_context, tag, 1)  # BT.709 in the first three, limited range in the last
        for index, (rgb, truth) in enumerate(_frames(episode)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts = index
            for packet in stream.encode(frame):
                container.mux(packet)
            truths.append(truth)
            progress.advance()
        for packet in stream.encode():
            container.mux(packet)
    progress.done()
    return truths


def _frames(episode: Episode) -> Iterator[tuple[np.ndarray, FrameTruth]]:
    index = 0
    seen: list[Seen]
    for number, shot in enumerate(episode.shots):
        # drawings of one shot are needed again and again, those of the last one never
        composed: dict[int, Composed] = {}
        rendered: dict[Frame, tuple[np.ndarray, list[Seen]]] = {}
        for position, frame in enumerate(shot.frames):
            if frame.drawing < 0:
                rgb, seen, drawing = card(shot, position), [], ""
            else:
                rgb, seen = _shown(shot, frame, composed, rendered)
                drawing = f"{shot.key}/{frame.drawing}"
            kind = "fade" if frame.fade >= 0.5 else shot.kind
            yield rgb, FrameTruth(index, number, kind, drawing, frame.camera, seen)
            index += 1


def _shown(
    shot: ScriptShot, frame: Frame, composed: dict[int, Composed], rendered: dict[Frame, tuple]
) -> tuple[np.ndarray, list[Seen]]:
    if frame not in rendered:
        if frame.drawing not in composed:
            composed[frame.drawing] = compose(shot.drawings[frame.drawing])
        drawing = composed[frame.drawing]
        height = HEIGHT - 2 * BAR_PX if shot.letterbox else HEIGHT
        camera = _letterbox_camera(frame.camera) if shot.letterbox else frame.camera
        picture = PILImage.fromarray(drawing.rgb).resize((WIDTH, height), PILImage.Resampling.BILINEAR, box=camera)
        rgb = np.asarray(picture)
        if shot.subtitle:
            rgb = subtitled(rgb, shot.subtitle)
        if frame.fade:
            rgb = (rgb * (1 - frame.fade)).astype(np.uint8)
        seen = seen_in(drawing, camera, WIDTH, height)
        if shot.letterbox:
            rgb = np.pad(rgb, ((BAR_PX, BAR_PX), (0, 0), (0, 0)))
            seen = [_lowered(s) for s in seen]
        rendered[frame] = (np.ascontiguousarray(rgb), seen)
    return rendered[frame]


def _letterbox_camera(camera):
    x0, y0, x1, y1 = camera
    cut = (y1 - y0) * BAR_PX / HEIGHT
    return x0, y0 + cut, x1, y1 - cut


def _lowered(seen: Seen) -> Seen:
    def down(box):
        return box[0], box[1] + BAR_PX, box[2], box[3] + BAR_PX

    return Seen(seen.figure, down(seen.xyxy), down(seen.head_xyxy), seen.visible, seen.head_visible)


@lru_cache(maxsize=32)
def _font(size: int):
    return ImageFont.load_default(size=size)


def subtitled(rgb: np.ndarray, text: str) -> np.ndarray:
    picture = PILImage.fromarray(rgb)
    ImageDraw.Draw(picture).text(
        (picture.width / 2, picture.height - 48), text, font=_font(38), fill="white", stroke_width=3,
        stroke_fill="black", anchor="mm",
    )  # fmt: skip
    return np.asarray(picture)


def card(shot: ScriptShot, position: int) -> np.ndarray:
    """(720, 1280, 3) uint8: black, a title on a plain ground, or credits that scroll."""
    if shot.kind == "black":
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ground = "#1c2740" if shot.kind == "title" else "#000000"
    picture = PILImage.new("RGB", (WIDTH, HEIGHT), ground)
    draw = ImageDraw.Draw(picture)
    if shot.kind == "title":
        for line, text in enumerate(shot.card):
            y = HEIGHT * (0.42 + 0.17 * line)
            draw.text((WIDTH / 2, y), text, font=_font(78 if line == 0 else 44), fill="#f4e9c8", anchor="mm")
    else:
        for line, text in enumerate(shot.card):
            y = HEIGHT * 0.75 + line * 92 - position * 8
            draw.text((WIDTH / 2, y), text, font=_font(40), fill="white", anchor="mm")
    return np.asarray(picture)
