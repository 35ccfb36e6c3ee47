"""What lies beside the episodes: fan art with tags, regularization pictures, and references of the cast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fullcast.pocket.backgrounds import LIGHTS, SETTINGS
from fullcast.pocket.bodies import POSES, random_outfit
from fullcast.pocket.cast import Member, ShowCast
from fullcast.pocket.heads import EXPRESSIONS
from fullcast.pocket.looks import TRAINING_STYLES, Look, jitter, random_look
from fullcast.pocket.scene import Drawing, Figure, compose
from fullcast.ports import Progress, silent
from fullcast.store.pictures import write_png
from fullcast.store.seeding import rng as keyed

NUM_REFERENCES = 10
FANART_SIZES = ((600, 800), (512, 512), (700, 500), (480, 960), (900, 400))
CAPTION_SHARE = 0.7
"""Share of fan art that has a tags file; the rest is what people save without one."""


def write_references(cast: ShowCast, seed: int, folder: Path, progress: Progress = silent) -> None:
    """`<name>/*.png` and `<name>/<form>/*.png`: head and shoulders by day, ten faces and outfits for each."""
    progress.start("references", sum(len(m.looks) for m in cast.members))
    for member in cast.members:
        for form, _ in member.looks:
            for index in range(NUM_REFERENCES):
                drawing = reference_drawing(member, form, seed, index)
                write_png(folder / member.name / form / f"{index:02d}.png", compose(drawing).rgb)
            progress.advance()
    progress.done()


def reference_drawing(member: Member, form: str, seed: int, index: int) -> Drawing:
    """340x340: head and shoulders of one character in one form, somewhere, by day."""
    rng = keyed(seed, f"reference {member.name}/{form}", index)
    figure = _figure(rng, member.look(form), 170.0, 210.0, int(rng.integers(100, 135)))
    return Drawing(str(rng.choice(SETTINGS)), int(rng.integers(1000)), "day", 1.0, (figure,), (), 340, 340)


def write_fanart(cast: ShowCast, seed: int, folder: Path, count: int, progress: Progress = silent) -> None:
    """Pictures by other hands: other sizes, colours a little off, one to three characters, booru tags beside most."""
    progress.start("fan art", count)
    for index in range(count):
        rng = keyed(seed, "fanart", index)
        width, height = FANART_SIZES[int(rng.integers(len(FANART_SIZES)))]
        members = rng.choice(len(cast.members), int(rng.choice((1, 2, 3), p=(0.6, 0.28, 0.12))), replace=False)
        forms = [cast.members[m].looks[int(rng.integers(len(cast.members[m].looks)))] for m in members]
        figures = []
        for slot, (form, look) in enumerate(forms):
            size = min(0.42 * height, 0.85 * width / len(forms)) * rng.uniform(0.6, 0.95)
            x = width * (slot + 0.5) / len(forms)
            drawn = replace(look, hair_color=jitter(rng, look.hair_color, 0.06))
            figure = _figure(rng, drawn, x, height * rng.uniform(0.42, 0.62), max(24, round(size)))
            figures.append(replace(figure, name=cast.members[members[slot]].name, form=form))
        setting, light = str(rng.choice(SETTINGS)), str(rng.choice(LIGHTS, p=(0.7, 0.2, 0.1)))
        drawing = Drawing(setting, int(rng.integers(1000)), light, 1.0, tuple(figures), (), width, height)
        path = folder / f"artist{index % 7}" / f"{index:04d}.png"
        write_png(path, compose(drawing).rgb)
        if rng.random() < CAPTION_SHARE:
            people = [f"{len(figures)}people" if len(figures) > 1 else "solo"]
            words = [f"artist:artist{index % 7}", *people, *(f.name for f in figures), figures[0].expression, setting]
            path.with_suffix(".png.tags").write_text(", ".join(words) + "\n", encoding="utf-8")
        progress.advance()
    progress.done()


def write_regularization(cast: ShowCast, seed: int, folder: Path, count: int, progress: Progress = silent) -> None:
    """Other people in all the styles that the base model knows, none of whom is in the cast."""
    taken = {look.traits for member in cast.members for _, look in member.looks}
    progress.start("regularization pictures", count)
    for index in range(count):
        rng = keyed(seed, "regularization", index)
        style = str(rng.choice(TRAINING_STYLES))
        people = int(rng.choice((0, 1, 2, 3, 4, 5), p=(0.06, 0.34, 0.24, 0.16, 0.12, 0.08)))
        width, height = ((640, 384), (512, 512), (384, 640))[int(rng.integers(3))] if people < 4 else (640, 384)
        figures = []
        for slot in range(people):
            look = _other(rng, style, taken)
            size = min(0.42 * height, 0.8 * width / people) * rng.uniform(0.7, 0.95)
            x = width * (slot + 0.5) / people
            figures.append(_figure(rng, look, x, height * rng.uniform(0.42, 0.6), max(24, round(size))))
        light = str(rng.choice(LIGHTS, p=(0.6, 0.2, 0.2)))
        drawing = Drawing(
            str(rng.choice(SETTINGS)), int(rng.integers(1000)), light, 1.0, tuple(figures), (), width, height
        )
        write_png(folder / f"{index:04d}.png", compose(drawing).rgb)
        progress.advance()
    progress.done()


def _other(rng: np.random.Generator, style: str, taken: set) -> Look:
    while True:
        look = random_look(rng, style, for_shows=False)
        if look.traits not in taken:
            return look


def _figure(rng: np.random.Generator, look: Look, x: float, y: float, skull_px: int) -> Figure:
    return Figure(
        look, random_outfit(rng), str(rng.choice(EXPRESSIONS)), str(rng.choice(POSES)), round(x), round(y), skull_px,
        mirrored=bool(rng.random() < 0.25), tilt=int(rng.choice((-6, 0, 0, 6))),
    )  # fmt: skip
