"""Episodes composed from drawings that nobody here made: Ren'Py's sprites and places (MIT), Wesnoth's portraits.

Fetched as Debian packages when the check runs; nothing was trained or tuned on them. Head boxes were read off the
drawings by eye, once, before anything was measured, to about a twentieth of a figure.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from checks.framework import Context
from checks.shows import command, must
from fullcast.records import UNKNOWN, Box
from fullcast.store.seeding import rng

PACKAGES = ("renpy-thequestion", "renpy-demo", "wesnoth-1.16-data")
QUESTION = "usr/share/games/renpy/the_question/game/images"
DEMO = "usr/share/games/renpy/demo/game/images"
PORTRAITS = "usr/share/games/wesnoth/1.16/data/core/images/portraits"

WIDTH, HEIGHT, RATE = 1280, 720, 24
SHOT_FRAMES = 24
EPISODES, SHOTS = 2, 72
"""Two episodes of 72 shots of a second: about 260 appearances."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A cut-out drawing of one person."""

    path: str
    """Below the folder into which the packages were unpacked."""
    character: str
    form: str
    head: Box
    """As fractions of the smallest box about what is drawn."""

    @property
    def name(self) -> str:
        return Path(self.path).stem


@dataclass(frozen=True, slots=True)
class Appearance:
    """Somebody in a shot."""

    episode: str
    shot: int
    sprite: str
    character: str
    form: str
    xyxy: Box
    """Pixels of the frame, what of the figure lies in it."""
    head: Box


_SYLVIE_BLUE, _SYLVIE_GREEN = (0.24, 0.0, 0.72, 0.25), (0.26, 0.0, 0.62, 0.27)
_EILEEN, _LUCY, _LUCY_MAD = (0.05, 0.0, 0.95, 0.36), (0.27, 0.0, 0.75, 0.32), (0.29, 0.0, 0.77, 0.39)
_FACES = ("giggle", "smile", "surprised")

REFERENCES = (
    Sprite(f"{QUESTION}/sylvie blue normal.png", "sylvie", "", _SYLVIE_BLUE),
    Sprite(f"{QUESTION}/sylvie green normal.png", "sylvie", "green", _SYLVIE_GREEN),
    Sprite(f"{DEMO}/eileen happy.png", "eileen", "", _EILEEN),
    Sprite(f"{DEMO}/lucy happy.png", "lucy", "", _LUCY),
)
"""The one picture that is known of each character and outfit; it is in no episode."""

CAST = (
    *(Sprite(f"{QUESTION}/sylvie blue {face}.png", "sylvie", "", _SYLVIE_BLUE) for face in _FACES),
    *(Sprite(f"{QUESTION}/sylvie green {face}.png", "sylvie", "green", _SYLVIE_GREEN) for face in _FACES),
    Sprite(f"{DEMO}/eileen concerned.png", "eileen", "", _EILEEN),
    Sprite(f"{DEMO}/eileen vhappy.png", "eileen", "", _EILEEN),
    Sprite(f"{DEMO}/lucy mad.png", "lucy", "", _LUCY_MAD),
)

_HEADS: dict[str, Box] = {
    "humans/dark-adept": (0.33, 0.00, 0.90, 0.39),
    "humans/fencer": (0.24, 0.00, 0.54, 0.33),
    "humans/footpad": (0.35, 0.01, 0.63, 0.31),
    "humans/bowman": (0.34, 0.00, 0.70, 0.32),
    "humans/mage+female": (0.34, 0.00, 0.68, 0.39),
    "humans/mage-red": (0.37, 0.00, 0.67, 0.41),
    "humans/mage-white": (0.23, 0.01, 0.52, 0.38),
    "humans/outlaw": (0.40, 0.00, 0.69, 0.35),
    "humans/peasant": (0.14, 0.02, 0.64, 0.38),
    "humans/mage": (0.39, 0.01, 0.65, 0.42),
    "humans/thief+female": (0.29, 0.00, 0.59, 0.35),
    "humans/thief": (0.48, 0.00, 0.80, 0.35),
    "humans/thug": (0.34, 0.00, 0.58, 0.29),
    "humans/trapper": (0.35, 0.00, 0.66, 0.32),
    "elves/fighter": (0.29, 0.01, 0.63, 0.38),
    "elves/archer+female": (0.40, 0.00, 0.72, 0.33),
    "elves/marksman+female": (0.22, 0.00, 0.53, 0.38),
    "elves/shaman": (0.29, 0.00, 0.67, 0.37),
    "elves/captain": (0.50, 0.15, 0.83, 0.46),
    "elves/ranger": (0.30, 0.13, 0.66, 0.47),
}
STRANGERS = tuple(Sprite(f"{PORTRAITS}/{name}.png", UNKNOWN, "", head) for name, head in _HEADS.items())

PLACES = (
    *(f"{QUESTION}/bg {name}.jpg" for name in ("uni", "club", "lecturehall", "meadow")),
    *(f"{DEMO}/bg {name}.jpg" for name in ("washington", "whitehouse", "cave")),
)


def fetch(context: Context) -> Path:
    """The folder that holds the packages' files; downloaded and unpacked once."""
    folder = context.work_dir / "real-art"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        context.say(f"downloading {', '.join(PACKAGES)}")
        must(command(["apt-get", "download", *PACKAGES], cwd=folder), "apt-get download")
        for package in sorted(folder.glob("*.deb")):
            must(command(["dpkg-deb", "-x", package, folder / "art"]), f"dpkg-deb -x {package.name}")
            package.unlink()
        (folder / "ready").touch()
    return folder / "art"


def film(art: Path, folder: Path, seed: int) -> list[Appearance]:
    """``folder/episodes/*.mp4`` and who is where in them; kept between runs of one seed."""
    told = folder / f"appearances-{seed}.json"
    if told.exists():
        return [_appearance(row) for row in json.loads(told.read_text(encoding="utf-8"))]
    appearances: list[Appearance] = []
    for number in range(EPISODES):
        name = f"{number + 1}.mp4"
        pictures = []
        for shot in range(SHOTS):
            picture, people = compose(art, name, shot, seed)
            pictures.append(picture)
            appearances += people
        _encode(folder / "episodes" / name, pictures)
    told.write_text(json.dumps([asdict(a) for a in appearances]) + "\n", encoding="utf-8")
    return appearances


def compose(art: Path, episode: str, shot: int, seed: int) -> tuple[np.ndarray, list[Appearance]]:
    """(720, 1280, 3) uint8 and its people: one to three side by side, nobody twice, waist up to knees up."""
    draw = rng(seed, "real-art", f"{episode}/{shot}")
    place = Image.open(art / PLACES[int(draw.integers(len(PLACES)))]).convert("RGB")
    left = float(draw.uniform(0, 0.15))
    box = (round(left * place.width), round(0.1 * left * place.height), place.width, place.height)
    canvas = place.crop(box).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    people = []
    chosen = _chosen(draw)
    for index, sprite in enumerate(chosen):
        drawing = Image.open(art / sprite.path).convert("RGBA")
        drawing = drawing.crop(drawing.getchannel("A").getbbox())
        # heads of 80 to 230 px: from a group to a close-up of two
        head_px = float(draw.uniform(80, 230 if len(chosen) < 3 else 150))
        scale = head_px / ((sprite.head[3] - sprite.head[1]) * drawing.height)
        drawing = drawing.resize(
            (round(drawing.width * scale), round(drawing.height * scale)), Image.Resampling.LANCZOS
        )
        middle = WIDTH * (index + 0.5 + float(draw.uniform(-0.1, 0.1))) / len(chosen)
        x = round(middle - drawing.width / 2)
        y = max(round(HEIGHT - drawing.height * float(draw.uniform(0.75, 1.0))), round(0.02 * HEIGHT))
        # what reaches beyond its feet stands on the lower edge, as in the games
        y = max(y, HEIGHT - drawing.height)
        canvas.paste(drawing, (x, y), drawing)
        people.append(_seen(sprite, episode, shot, x, y, drawing.width, drawing.height))
    return np.asarray(canvas), people


def _chosen(draw: np.random.Generator) -> list[Sprite]:
    """Two thirds of the places go to the cast; no character and no portrait comes twice in a picture."""
    chosen: list[Sprite] = []
    for _ in range(int(draw.choice([1, 2, 3], p=[0.3, 0.5, 0.2]))):
        pool: Sequence[Sprite] = CAST if draw.random() < 2 / 3 else STRANGERS
        free = [s for s in pool if s not in chosen and s.character not in {c.character for c in chosen} - {UNKNOWN}]
        if free:
            names = sorted({s.character for s in free})
            who = names[int(draw.integers(len(names)))]
            looks = [s for s in free if s.character == who]
            chosen.append(looks[int(draw.integers(len(looks)))])
    return chosen


def _seen(sprite: Sprite, episode: str, shot: int, x: int, y: int, width: int, height: int) -> Appearance:
    def placed(fractions: Box) -> Box:
        x0, y0, x1, y1 = fractions
        return (
            max(0.0, x + x0 * width),
            max(0.0, y + y0 * height),
            min(float(WIDTH), x + x1 * width),
            min(float(HEIGHT), y + y1 * height),
        )

    name = sprite.character if sprite.character != UNKNOWN else UNKNOWN
    return Appearance(episode, shot, sprite.path, name, sprite.form, placed((0, 0, 1, 1)), placed(sprite.head))


def _appearance(row: dict) -> Appearance:
    return Appearance(**{**row, "xyxy": tuple(row["xyxy"]), "head": tuple(row["head"])})


def _encode(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """H.264, BT.709; each picture is held for a shot."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):
            setattr(stream.codec_context, tag, 1)  # BT.709 in the first three, limited range in the last
        for index in range(len(pictures) * SHOT_FRAMES):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pictures[index // SHOT_FRAMES]), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts = index
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
