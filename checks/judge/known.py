"""Line 3: every metric on pictures with a known answer, and under damage that can only make it worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageFilter

from checks.ceiling import STYLE
from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.judge import CHECK
from checks.judge.drawings import HEIGHT, WIDTH, shrink
from checks.judge.eyes import judges_of
from checks.shows import command
from fullcast.judging.detect_compare import detect_and_compare, reference_scores
from fullcast.judging.features import Looks, cut_to, features_of
from fullcast.judging.fidelity import kid, mmd
from fullcast.judging.measures import measure
from fullcast.judging.memorisation import memorisation
from fullcast.judging.rows import Row, row_of
from fullcast.judging.verdict import judge_picture
from fullcast.pocket.scene import compose
from fullcast.records import Scene
from fullcast.store.pictures import resize
from fullcast.store.seeding import rng

HAND_MADE = ("tests/judging/test_metrics.py", "tests/judging/test_verdict.py", "tests/judging/test_summary.py")
PER_COUNT = 12
SLACK = 0.05
"""By which a figure may rise from one step of damage to the next: a picture or two of sixty."""

Damage = Callable[[np.ndarray, int], np.ndarray]


@CHECK.line(3, "known answers; monotone under blur, turned hue and pasted intruders")
def known(context: Context) -> Iterable[Figure]:
    ran = command([_python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *HAND_MADE], cwd=ROOT)
    yield passed("hand-made pictures: perfect, swapped, missing, extra, blended, empty", ran.code == 0, ran.told)
    (seed,) = context.seeds("judge-3", 1)
    folder, world, judge, _ = judges_of(context, seed, STYLE, PER_COUNT)
    true = [(scene, compose(world.drawing(scene)).rgb) for scene in world.scenes]
    small = [(scene, shrink(picture)) for scene, picture in true]
    truth = reference_scores(judge.cast)
    names = {name: i for i, name in enumerate(judge.cast.names)}
    assert len(names) == len(truth)
    for title, damage, steps in DAMAGES:
        context.say(title)
        told: dict[str, list[float]] = {}
        for step in range(steps):
            pictures = [(scene, damage(picture, step)) for scene, picture in small]
            for name, value in _measured(judge, pictures, truth).items():
                told.setdefault(name, []).append(value)
        for name, values in told.items():
            yield from _falls(f"{title}: {name}", values, rises=False)
    yield from _likeness(context, small, judge)


def _blur(picture: np.ndarray, step: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur((0.0, 0.8, 1.6, 3.2)[step])))


def _hue(picture: np.ndarray, step: int) -> np.ndarray:
    """By 0, 21, 42 and 77 degrees: from about 80 on colours come near others of the show again (KID 0.64 at 77, 0.46 at
    140)."""
    hsv = np.array(Image.fromarray(picture).convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(int) + (0, 15, 30, 55)[step]) % 256
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def _pasted(picture: np.ndarray, step: int) -> np.ndarray:
    """The middle third of the picture itself, that often, along the bottom: a second of whoever stands there."""
    out = picture.copy()
    h, w = HEIGHT * 3 // 5, WIDTH // 4
    piece = resize(picture[:, WIDTH // 3 : WIDTH // 3 + HEIGHT], (w, h))
    for i in range(step):
        out[HEIGHT - h :, i * w * 3 // 2 : i * w * 3 // 2 + w] = piece
    return out


DAMAGES: tuple[tuple[str, Damage, int], ...] = (("blur", _blur, 4), ("hue", _hue, 4), ("pasted intruders", _pasted, 3))


def _measured(judge, pictures: Sequence[tuple[Scene, np.ndarray]], truth: np.ndarray) -> dict[str, float]:
    found = judge.look.look([picture for _, picture in pictures])
    rows: list[Row] = []
    for i, ((scene, _), figures) in enumerate(zip(pictures, found, strict=True)):
        verdict = judge_picture(figures, scene, judge.cast, width=WIDTH, height=HEIGHT, picture_id=str(i))
        rows.append(row_of(scene, verdict))
    counts = measure(rows, judge.cast).summary.by_count
    return {
        "mean S_N": float(np.mean([c.success.value for c in counts])),
        "mean S_N in place": float(np.mean([c.success_placed.value for c in counts])),
        "identity F1": float(np.mean([c.id_f1 for c in counts])),
        "Detect-and-Compare": float(np.mean([detect_and_compare(row, judge.cast, truth) for row in rows])),
    }


def _falls(name: str, values: Sequence[float], rises: bool) -> Iterator[Figure]:
    """The worst step against the direction, and the whole way."""
    steps = np.diff(values) * (1 if rises else -1)
    told = " ".join(f"{v:.3f}" for v in values)
    yield Figure(f"{name}, worst step the wrong way", float(max(0.0, -steps.min())), Goal("<=", SLACK), note=told)
    yield passed(f"{name}, worse at the end", float(steps.sum()) > 0, told)


def _likeness(context: Context, pictures: Sequence[tuple[Scene, np.ndarray]], judge) -> Iterator[Figure]:
    """KID and MMD of damaged against true pictures, in the judge's features; half of the true ones are the "
    "reference."""
    images = [cut_to(picture, (WIDTH, HEIGHT)) for _, picture in pictures]
    order = rng(3, "halves", "").permutation(len(images))
    reference, rest = order[: len(order) // 2], order[len(order) // 2 :]

    def embed(pictures: Sequence[np.ndarray]) -> np.ndarray:
        return features_of(pictures, judge.look.embedder)

    true = embed([images[i] for i in reference])
    for title, damage in (("blur", _blur), ("hue", _hue)):
        told: dict[str, list[float]] = {"KID": [], "MMD": []}
        for step in range(4):
            made = embed([damage(images[i], step) for i in rest])
            told["KID"].append(_value(kid(made, true)))
            told["MMD"].append(_value(mmd(made, true)))
        for name, values in told.items():
            # Shares of the whole way: MMD is in thousandths, KID is not.
            way = max(values) - min(values)
            yield from _falls(f"{title}: {name}", [v / way for v in values] if way > 0 else values, rises=True)
    looks = Looks(tuple(map(str, order)), embed(images), np.stack([resize(i, (64, 36)) for i in images]) / 255.0)
    copies, fresh = looks.take(range(0, 10)), looks.take(range(len(images) - 10, len(images)))
    training = looks.take(range(0, len(images) - 10))
    episodes = [i % 3 for i in range(len(training))]
    for name, group, goal in (
        ("training pictures themselves", copies, Goal(">=", 1)),
        ("fresh ones", fresh, Goal("<=", 0.1)),
    ):
        found = memorisation(group, [1] * len(group), training, episodes)
        yield Figure(f"called copies: {name}", found.copied.value if found else math.nan, goal, n=10)


def _value(found) -> float:
    return found.value if found is not None else math.nan


def _python() -> str:
    import sys

    return sys.executable
