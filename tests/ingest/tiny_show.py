"""A tiny animated show drawn with PIL, with the truth of every frame: what the tests of room 1 are measured on.

It behaves as TV animation does: drawings on twos and threes, held shots where only the mouth moves, a pan, a zoom, a
fade, black, a title card, subtitles, rolling credits, an opening in each episode, a flashback, a letterboxed shot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fullcast.store.seeding import rng

RATE = 24


@dataclass(frozen=True)
class Truth:
    """One frame: what it shows."""

    shot: str
    kind: str
    """story | opening | flashback | title | black | fade | credits"""
    drawing: str
    camera: tuple[float, float, float, float]
    """xyxy on the drawing's canvas."""


@dataclass(frozen=True)
class Figure:
    x: float
    """Middle of the head and its chin, canvas pixels."""
    y: float
    head: float
    look: int
    mouth: int = 0
    eyes: int = 0
    arm: int = 0


@dataclass
class Episode:
    size: tuple[int, int]
    frames: list[np.ndarray] = field(default_factory=list)
    truth: list[Truth] = field(default_factory=list)

    def add(self, frame: np.ndarray, truth: Truth, count: int = 1) -> None:
        self.frames += [frame] * count
        self.truth += [truth] * count


def background(seed: int, width: int, height: int) -> Image.Image:
    """A street: sky, houses with windows, a road, tufts of grass."""
    draw_rng = rng(seed, "background")
    top, low = draw_rng.integers(60, 220, 3), draw_rng.integers(120, 250, 3)
    rows = np.linspace(0, 1, height)[:, None, None]
    image = Image.fromarray((top * (1 - rows) + low * rows + np.zeros((1, width, 1))).astype(np.uint8))
    d = ImageDraw.Draw(image)
    x = 0
    while x < width:
        wide, high = int(draw_rng.integers(60, 130)), int(draw_rng.integers(height // 4, height // 2))
        colour = tuple(int(v) for v in draw_rng.integers(70, 210, 3))
        base = int(height * 0.72)
        d.rectangle([x, base - high, x + wide - 4, base], fill=colour)
        for wx in range(x + 8, x + wide - 18, 22):
            for wy in range(base - high + 8, base - 18, 26):
                d.rectangle([wx, wy, wx + 11, wy + 14], fill=tuple(int(v * 0.6) for v in colour))
        x += wide
    d.rectangle([0, int(height * 0.72), width, height], fill=tuple(int(v) for v in draw_rng.integers(90, 160, 3)))
    for _ in range(width // 12):
        gx, gy = draw_rng.uniform(0, width), draw_rng.uniform(height * 0.74, height)
        d.line([gx, gy, gx + 5, gy - 7], fill=(50, 90, 50), width=2)
    return image


def draw_figure(d: ImageDraw.ImageDraw, f: Figure) -> None:
    look = rng(f.look, "look")
    skin = (245, 214, 190)
    hair = tuple(int(v) for v in look.integers(20, 220, 3))
    shirt = tuple(int(v) for v in look.integers(40, 240, 3))
    h, x, y = f.head, f.x, f.y
    d.rounded_rectangle([x - 0.55 * h, y, x + 0.55 * h, y + 1.9 * h], 0.2 * h, fill=shirt, outline=(30, 25, 35))
    tip = [(0.9, 1.3), (1.1, 0.1), (0.9, -0.8)][f.arm]
    d.line([x + 0.5 * h, y + 0.3 * h, x + tip[0] * h, y + tip[1] * h], fill=skin, width=max(2, int(0.16 * h)))
    d.ellipse([x - 0.55 * h, y - 1.15 * h, x + 0.55 * h, y + 0.1 * h], fill=hair)
    d.ellipse([x - 0.42 * h, y - 0.9 * h, x + 0.42 * h, y], fill=skin, outline=(30, 25, 35))
    for side in (-1, 1):
        ex, ey = x + side * 0.18 * h, y - 0.5 * h
        if f.eyes == 0:
            d.ellipse([ex - 0.07 * h, ey - 0.1 * h, ex + 0.07 * h, ey + 0.1 * h], fill=(30, 25, 60))
        else:
            d.line([ex - 0.08 * h, ey, ex + 0.08 * h, ey], fill=(30, 25, 35), width=max(1, int(0.04 * h)))
    my = y - 0.2 * h
    if f.mouth == 0:
        d.line([x - 0.1 * h, my, x + 0.1 * h, my], fill=(120, 30, 40), width=max(1, int(0.04 * h)))
    elif f.mouth == 1:
        d.ellipse([x - 0.1 * h, my - 0.06 * h, x + 0.1 * h, my + 0.1 * h], fill=(150, 40, 50))
    else:
        d.ellipse([x - 0.06 * h, my - 0.03 * h, x + 0.06 * h, my + 0.05 * h], fill=(150, 40, 50))


class Canvas:
    """A background with figures on it, drawn once for each state of the figures (at twice the size, then halved)."""

    def __init__(self, seed: int, width: int, height: int, light: float = 1.0) -> None:
        self.ground = background(seed, width, height).resize((2 * width, 2 * height), Image.Resampling.LANCZOS)
        self.light = light
        self.width, self.height = width, height

    def draw(self, *figures: Figure) -> Image.Image:
        image = self.ground.copy()
        d = ImageDraw.Draw(image)
        for f in figures:
            draw_figure(d, Figure(2 * f.x, 2 * f.y, 2 * f.head, f.look, f.mouth, f.eyes, f.arm))
        small = image.resize((self.width, self.height), Image.Resampling.BOX)
        return small.point(lambda v: int(v * self.light)) if self.light != 1 else small


def look_at(canvas: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    return np.asarray(canvas.resize(size, Image.Resampling.BICUBIC, box=box))


def write_lines(frame: np.ndarray, lines: list[tuple[str, float]], height: int, colour=(255, 255, 255), outline=0):
    """Centred lines of text, each with its y."""
    image = Image.fromarray(frame)
    d = ImageDraw.Draw(image)
    font = ImageFont.load_default(height)
    for text, y in lines:
        d.text(
            (image.width / 2, y), text, fill=colour, font=font, anchor="mm", stroke_width=outline, stroke_fill=(0, 0, 0)
        )
    return np.asarray(image)


def make_episode(number: int, seed: int = 1, size: tuple[int, int] = (640, 360)) -> Episode:
    """One episode of about 17 s; the opening is the same in each."""
    e = Episode(size)
    unit = size[1] / 360
    _opening(e, seed, unit)
    _title(e, number)
    base = 100 * seed + 10 * number
    held = _acting(e, base + 1, unit, f"{number}/acting", "story", light=1.0)
    _talking(e, base + 2, unit, number)
    _pan(e, base + 3, unit, number)
    _zoom(e, base + 4, unit, number)
    _black(e, RATE)
    _letterboxed(e, base + 5, unit, number)
    for frame, truth in held[:24]:
        e.add(frame, Truth(f"{number}/flashback", "flashback", truth.drawing, truth.camera))
    _talking(e, base + 6, unit, number, light=0.5, name="night")
    _credits(e)
    return e


def _opening(e: Episode, seed: int, unit: float) -> None:
    w, h = e.size
    canvas = Canvas(seed * 7, 2 * w, h)
    for i in range(36):
        if i % 3 == 0:
            box = (5.0 * unit * i, 0, w + 5.0 * unit * i, h)
            image = canvas.draw(Figure(500 * unit, 200 * unit, 60 * unit, 3, mouth=(i // 3) % 2))
        e.add(look_at(image, box, e.size), Truth("opening-pan", "opening", f"op/{(i // 3) % 2}", box))
    _acting(e, seed * 7 + 1, unit, "opening-acting", "opening", light=1.0)


def _title(e: Episode, number: int) -> None:
    w, h = e.size
    frame = write_lines(np.full((h, w, 3), (24, 30, 60), np.uint8), [(f"Episode {number}: Rain", h / 2)], h // 9)
    e.add(frame, Truth("title", "title", "", (0, 0, w, h)), RATE)


def _acting(e: Episode, seed: int, unit: float, shot: str, kind: str, light: float) -> list:
    """Poses and faces change on twos and threes, two figures, 2 s."""
    w, h = e.size
    canvas, box = Canvas(seed, w, h, light), (0.0, 0.0, float(w), float(h))
    steps = rng(seed, "acting")
    state, added, i = [0, 0, 0], [], 0
    while i < 48:
        part = int(steps.integers(3))
        state[part] = int((state[part] + 1) % (3 if part != 1 else 2))
        image = canvas.draw(
            Figure(200 * unit, 190 * unit, 70 * unit, seed, mouth=state[0], eyes=state[1], arm=state[2]),
            Figure(460 * unit, 210 * unit, 24 * unit, seed + 1, mouth=1 - state[1]),
        )
        frame = look_at(image, box, e.size)
        hold = int(steps.integers(2, 4))
        for _ in range(hold):
            truth = Truth(shot, kind, f"{seed}/{state}", box)
            e.add(frame, truth)
            added.append((frame, truth))
        i += hold
    return added


def _talking(e: Episode, seed: int, unit: float, number: int, light: float = 1.0, name: str = "talking") -> None:
    """Only mouths move; subtitles come and go. The drawing is the mouths' state."""
    w, h = e.size
    canvas, box = Canvas(seed, w, h, light), (0.0, 0.0, float(w), float(h))
    mouths = [(0, 0), (1, 0), (2, 0), (1, 0), (0, 0), (0, 1), (0, 2), (0, 1), (0, 0), (1, 0), (0, 0), (0, 1)]
    drawn = {
        m: canvas.draw(
            Figure(220 * unit, 180 * unit, 48 * unit, seed, mouth=m[0]),
            Figure(430 * unit, 190 * unit, 20 * unit, seed + 1, mouth=m[1]),
        )
        for m in set(mouths)
    }
    for i, m in enumerate(mouths):
        frame = look_at(drawn[m], box, e.size)
        if 2 <= i < 10:
            text = "I told you that it would rain." if i < 6 else "And we have one umbrella!"
            frame = write_lines(frame, [(text, h * 0.9)], int(h * 0.055), outline=max(1, int(2 * unit)))
        e.add(frame, Truth(f"{number}/{name}", "story", f"{seed}/{m}", box), 4)


def _pan(e: Episode, seed: int, unit: float, number: int) -> None:
    w, h = e.size
    canvas = Canvas(seed, 2 * w, h)
    image = canvas.draw(Figure(700 * unit, 200 * unit, 60 * unit, seed))
    for i in range(48):
        box = (6.0 * unit * i, 0.0, w + 6.0 * unit * i, float(h))
        e.add(look_at(image, box, e.size), Truth(f"{number}/pan", "story", f"{seed}", box))


def _zoom(e: Episode, seed: int, unit: float, number: int) -> None:
    w, h = e.size
    canvas = Canvas(seed, w, h)
    images = [canvas.draw(Figure(330 * unit, 200 * unit, 50 * unit, seed, mouth=m)) for m in (0, 1)]
    for i in range(48):
        f = 1 - 0.35 * max(0, i - 6) / 41
        box = (w * (1 - f) / 2, h * (1 - f) / 2, w * (1 + f) / 2, h * (1 + f) / 2)
        mouth = 1 if 20 <= i < 30 else 0
        frame = look_at(images[mouth], box, e.size)
        kind = "story"
        if i >= 36:
            frame, kind = (frame * ((48 - i) / 13)).astype(np.uint8), "fade"
        e.add(frame, Truth(f"{number}/zoom", kind, f"{seed}/{mouth}", box))


def _black(e: Episode, count: int) -> None:
    w, h = e.size
    e.add(np.zeros((h, w, 3), np.uint8), Truth("black", "black", "", (0, 0, w, h)), count)


def _letterboxed(e: Episode, seed: int, unit: float, number: int) -> None:
    w, h = e.size
    bar = int(h * 0.12)
    canvas, box = Canvas(seed, w, h), (0.0, float(bar), float(w), float(h - bar))
    for i in range(12):
        image = canvas.draw(Figure(320 * unit, 220 * unit, 80 * unit, seed, eyes=(i // 3) % 2, arm=i // 4))
        frame = np.zeros((h, w, 3), np.uint8)
        frame[bar : h - bar] = look_at(image, box, (w, h - 2 * bar))
        e.add(frame, Truth(f"{number}/letterboxed", "story", f"{seed}/{(i // 3) % 2}/{i // 4}", box), 3)


def _credits(e: Episode) -> None:
    w, h = e.size
    names = [
        "Direction  A. Sato",
        "Script  B. Mori",
        "Art  C. Ito",
        "Sound  D. Abe",
        "Camera  E. Ono",
        "Thanks  F. Kai",
    ]
    for i in range(60):
        y = h * 0.95 - i * h / 60
        lines = [(name, y + k * h * 0.14) for k, name in enumerate(names)]
        frame = write_lines(np.full((h, w, 3), 8, np.uint8), lines, int(h * 0.07))
        e.add(frame, Truth("credits", "credits", "", (0, 0, w, h)))


def encode(frames: list[np.ndarray], path: Path, crf: int = 25, **options: str) -> Path:
    """H.264 by PyAV, tagged as BT.709."""
    h, w = frames[0].shape[:2]
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": "veryfast", **options})
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())
    return path


def camera_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared)
