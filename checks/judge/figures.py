"""The pictures of docs/judging.md: ``python -m checks.judge.figures``. Drawn, not judged: each shows what a number
is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from checks.ceiling import SCALE, STYLE
from checks.framework import ROOT
from checks.judge.drawings import HEIGHT, KINDS, WIDTH, World, world_of
from fullcast.pocket.cast import make_cast
from fullcast.pocket.scene import compose
from fullcast.records import Cast, Character, Form, Scene
from fullcast.store.pictures import resize, write_png
from fullcast.store.seeding import rng

OUT = ROOT / "docs" / "pictures"
SEED = 3
CELL, LINE, GAP = 232, 17, 12
INK, SOFT, GOOD, BAD, LINE_COLOR = (28, 29, 34), (98, 100, 111), (22, 121, 76), (184, 40, 63), (75, 72, 200)

Panel = tuple[np.ndarray, str, tuple[int, int, int]]
"""Picture, words below it, their colour."""


def main() -> None:
    world = _world()
    two, three = (next(s for s in world.scenes if s.num_people == n) for n in (2, 3))
    save(
        "success",
        _panels(
            world,
            three,
            ("true", "right: succeeds", GOOD),
            ("one missing", "one missing: fails", BAD),
            ("another one", "somebody else: fails", BAD),
        ),
    )
    save(
        "in-place",
        _panels(
            world,
            three,
            ("true", "asked for so: in place", GOOD),
            ("swapped places", "all there, two swapped: a success, not in place", BAD),
        ),
    )
    save(
        "counting",
        _panels(
            world,
            two,
            ("one missing", "2 asked, 1 there: bias -1", BAD),
            ("true", "2 asked, 2 there", GOOD),
            ("a stranger more", "2 asked, 3 there: bias +1", BAD),
        ),
    )
    save(
        "recall-precision",
        _panels(
            world,
            two,
            ("true", "recall 1, precision 1", GOOD),
            ("one missing", "recall 1/2, precision 1", BAD),
            ("one of the cast more", "recall 1, precision 2/3", BAD),
        ),
    )
    save(
        "hybrids",
        _panels(
            world,
            two,
            ("true", "two characters", GOOD),
            ("hybrid of traits", "traits of the other one", BAD),
            ("hybrid of pixels", "both in one", BAD),
        ),
    )
    save(
        "counterfactual",
        _panels(
            world,
            two,
            ("true", "one noise, asked for so", GOOD),
            ("swapped places", "the same noise, asked for the other way round", GOOD),
        ),
    )
    save(
        "compositions",
        _panels(
            world,
            two,
            ("true", "trained on these two so: seen", SOFT),
            ("swapped places", "on these two, never so: moved", GOOD),
            ("another one", "never on these two together: new", GOOD),
        ),
    )
    _leaks(world, two)
    _places(world, three)
    _best_of(world, three)
    _sizes(world, two)
    _copied(world)
    _diversity(world, two)
    _charts()


def save(name: str, panels: Sequence[Panel]) -> None:
    """Panels side by side on white."""
    widths = [CELL for _ in panels]
    texts = [_wrap(words, CELL) for _, words, _ in panels]
    heights = [round(picture.shape[0] * CELL / picture.shape[1]) for picture, _, _ in panels]
    height = max(h + 6 + LINE * len(t) for h, t in zip(heights, texts, strict=True))
    sheet = Image.new("RGB", (sum(widths) + GAP * (len(panels) + 1), height + 2 * GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, ((picture, _, color), text, h) in enumerate(zip(panels, texts, heights, strict=True)):
        x = GAP + i * (CELL + GAP)
        sheet.paste(Image.fromarray(picture).resize((CELL, h), Image.Resampling.LANCZOS), (x, GAP))
        for k, line in enumerate(text):
            pen.text((x, GAP + h + 6 + LINE * k), line, fill=color, font=font)
    write_png(OUT / f"judging-{name}.png", np.asarray(sheet.quantize(64, dither=Image.Dither.NONE).convert("RGB")))


def _world() -> World:
    show = make_cast(SEED, STYLE)
    cast = Cast("", tuple(Character(m.name, m.name, tuple(Form(f) for f, _ in m.looks)) for m in show.members))
    return world_of(SEED, show, cast, 6)


def _picture(world: World, scene: Scene, kind: str) -> np.ndarray:
    if kind == "true":
        return compose(world.drawing(scene)).rgb
    made = KINDS[kind](world, scene, rng(SEED, f"wrong {kind}", scene.id))
    assert made is not None, f"{scene.id} does not allow {kind}"
    return made


def _panels(world: World, scene: Scene, *kinds: tuple[str, str, tuple[int, int, int]]) -> list[Panel]:
    return [(_picture(world, scene, kind), words, color) for kind, words, color in kinds]


def _leaks(world: World, scene: Scene) -> None:
    drawing = world.drawing(scene)
    a, b = drawing.figures[0], drawing.figures[-1]
    alone = compose(replace(drawing, figures=(b,))).rgb
    twice = compose(replace(drawing, figures=(a, replace(b, look=a.look)))).rgb
    hair = replace(b.look, hair_color=a.look.hair_color, hair_color_word=a.look.hair_color_word)
    dyed = compose(replace(drawing, figures=(a, replace(b, look=hair)))).rgb
    right = (alone, f"{b.name} alone: right", GOOD)
    save("identity-lift", [right, (twice, f"{b.name} beside {a.name}: taken for {a.name}", BAD)])
    save("hair-leakage", [right, (dyed, f"{b.name} beside {a.name}: with {a.name}'s hair colour", BAD)])


def _places(world: World, scene: Scene) -> None:
    picture = Image.fromarray(_picture(world, scene, "true"))
    pen = ImageDraw.Draw(picture)
    w, h = picture.size
    for i in range(1, 5):
        pen.line((i * w / 5, 0, i * w / 5, h), fill=(255, 255, 255), width=3)
        pen.line((0, i * h / 5, w, i * h / 5), fill=(255, 255, 255), width=3)
    for person in scene.people:
        if person.cell:
            x, y = person.cell
            pen.rectangle((x * w / 5, y * h / 5, (x + 1) * w / 5, (y + 1) * h / 5), outline=LINE_COLOR, width=6)
    save("places", [(np.asarray(picture), "5 x 5 cells; framed: where heads were asked to be", INK)])


def _best_of(world: World, scene: Scene) -> None:
    kinds = ("one missing", "another one", "true", "one missing")
    pictures = []
    for i, kind in enumerate(kinds):
        picture = Image.fromarray(_picture(world, scene, kind))
        if i == 2:
            ImageDraw.Draw(picture).rectangle((0, 0, picture.width - 1, picture.height - 1), outline=GOOD, width=12)
        pictures.append(np.asarray(picture))
    words = ("noise 1", "noise 2", "noise 3: picked", "noise 4")
    save("best-of", [(p, w, GOOD if "picked" in w else SOFT) for p, w in zip(pictures, words, strict=True)])


def _sizes(world: World, scene: Scene) -> None:
    drawing = world.drawing(scene)
    panels = []
    for share, words in ((1.0, "heads of 24 px: easy"), (0.5, "12 px: hard"), (0.3, "7 px: hardly anything to read")):
        small = tuple(replace(f, skull_px=max(8, round(f.skull_px * share))) for f in drawing.figures)
        picture = resize(compose(replace(drawing, figures=small)).rgb, (WIDTH, HEIGHT))
        panels.append(
            (
                np.asarray(Image.fromarray(picture).resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.NEAREST)),
                words,
                INK,
            )
        )
    save("head-sizes", panels)


def _copied(world: World) -> None:
    a, b = [s for s in world.scenes if s.num_people == 2][1:3]
    one = _picture(world, a, "true")
    moved = np.roll(one, 9, axis=1)
    save(
        "copied",
        [
            (one, "a training picture", SOFT),
            (moved, "drawn again, moved a little: copied", BAD),
            (_picture(world, b, "true"), "another picture of the same kind: not copied", GOOD),
        ],
    )


def _diversity(world: World, scene: Scene) -> None:
    drawing = world.drawing(scene)
    same = compose(drawing).rgb
    other = compose(
        replace(
            drawing,
            background_seed=drawing.background_seed + 7,
            figures=tuple(replace(f, x=f.x + 26, expression="laugh", pose=f.pose) for f in drawing.figures),
        )
    ).rgb
    save(
        "diversity",
        [
            (same, "one prompt, noise 1", SOFT),
            (same, "noise 2: the same picture", BAD),
            (other, "noise 2: another picture", GOOD),
        ],
    )


def _charts() -> None:
    falls, flat = tuple(0.9**n for n in range(1, 6)), (0.9,) * 5
    save(
        "p-eff",
        [
            (_curves((falls, flat)), "S_N falls, p_eff is flat: only compounding", GOOD),
            (
                _curves((tuple(v * (1 - 0.2 * i) for i, v in enumerate(falls)), (0.9, 0.84, 0.77, 0.71, 0.63))),
                "p_eff falls too: crowding or bleeding",
                BAD,
            ),
        ],
    )
    good, bad = np.eye(4) * 9 + 0.3, np.eye(4) * 5 + 0.3
    bad[1, 0] = 5
    save(
        "who-for-whom", [(_matrix(good), "a bright diagonal", GOOD), (_matrix(bad), "row 2 is taken for column 1", BAD)]
    )
    save(
        "detect-and-compare",
        [
            (_matrix(good), "S: figures against references", INK),
            (_matrix(good * 0.8 + 1), "G: references against each other", INK),
        ],
    )
    save(
        "kid-mmd",
        [
            (_clouds(0), "made (blue) where true ones (grey) are", GOOD),
            (_clouds(70), "somewhere else: far above the floor", BAD),
        ],
    )
    save(
        "comparison",
        [
            (
                _pairs(),
                "a column a scene, above the first, below the second: only columns that differ tell anything",
                INK,
            )
        ],
    )
    save(
        "corrected",
        [
            (
                _bars(((0.58, SOFT), (0.71, LINE_COLOR))),
                "raw 0.58; corrected for a judge that refuses 0.18 of what is right: 0.71",
                INK,
            )
        ],
    )


def _canvas() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (464, 240), (250, 249, 246))
    return image, ImageDraw.Draw(image)


def _curves(curves: Sequence[Sequence[float]]) -> np.ndarray:
    image, pen = _canvas()
    for values, color in zip(curves, (LINE_COLOR, (12, 127, 140)), strict=True):
        points = [(50 + 90 * i, 215 - 190 * v) for i, v in enumerate(values)]
        pen.line(points, fill=color, width=5)
        for x, y in points:
            pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=color)
    pen.line((30, 215, 440, 215), fill=SOFT, width=2)
    return np.asarray(image)


def _matrix(values: np.ndarray) -> np.ndarray:
    image, pen = _canvas()
    side = 52
    for (i, j), v in np.ndenumerate(values):
        shade = tuple(int(235 - (235 - c) * min(1.0, v / 10)) for c in (GOOD if i == j else BAD))
        x, y = 128 + side * j, 16 + side * i
        pen.rectangle((x, y, x + side - 4, y + side - 4), fill=shade)
    return np.asarray(image)


def _clouds(shift: int) -> np.ndarray:
    image, pen = _canvas()
    draw = rng(SEED, "clouds", shift)
    for color, by in (((150, 152, 160), 0), (LINE_COLOR, shift)):
        for x, y in draw.normal((190, 120), (55, 38), (70, 2)):
            pen.ellipse((x + by - 5, y - by / 3 - 5, x + by + 5, y - by / 3 + 5), fill=color)
    return np.asarray(image)


def _pairs() -> np.ndarray:
    image, pen = _canvas()
    a, b = "110100110100", "111101110110"
    for row, outcomes in enumerate((a, b)):
        for i, outcome in enumerate(outcomes):
            x, y = 18 + 36 * i, 60 + 70 * row
            pen.rectangle((x, y, x + 28, y + 46), fill=GOOD if outcome == "1" else (225, 170, 178))
            if a[i] != b[i]:
                pen.rectangle((x - 4, 52, x + 32, 184), outline=LINE_COLOR, width=3)
    return np.asarray(image)


def _bars(bars: Sequence[tuple[float, tuple[int, int, int]]]) -> np.ndarray:
    image, pen = _canvas()
    for i, (value, color) in enumerate(bars):
        pen.rectangle((110 + 140 * i, 215 - 190 * value, 210 + 140 * i, 215), fill=color)
    pen.line((30, 215, 440, 215), fill=SOFT, width=2)
    return np.asarray(image)


def _wrap(words: str, width: int) -> list[str]:
    font = ImageFont.load_default(13)
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


if __name__ == "__main__":
    Path(OUT).mkdir(parents=True, exist_ok=True)
    main()
