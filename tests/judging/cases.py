"""Hand-made rows: whoever is asked for stands where the test says, taken for whom the test says."""

from __future__ import annotations

from collections.abc import Sequence

from fullcast.judging.rows import Row, row_of
from fullcast.judging.verdict import judge_picture
from fullcast.records import Cast, Character, Found, Placement, Scene

NAMES = ("aoi", "hinata", "mio", "rin", "sora", "yuki")
CAST = Cast("test", tuple(Character(name, name) for name in NAMES))
SIZE = 100


def figure(name: str, column: int, *, sure: float = 0.9, second: str = "", head_px: float = 15.0) -> Found:
    """Taken for ``name``; ``second``: almost as near to that one. The head is in the middle of a column."""
    x = 20 * column + 10
    scores = tuple(sure if c == name else sure - 0.01 if c == second else 0.2 + 0.01 * i for i, c in enumerate(NAMES))
    head = (x - head_px / 2, 30.0, x + head_px / 2, 30.0 + head_px)
    return Found((x - 9.0, 30.0, x + 9.0, 100.0), head, 0.9, name, "", sure, 0.5, scores=scores)


def ask(scene_id: str, *names: str, columns: Sequence[int] = ()) -> Scene:
    placed = [Placement(n, cell=(columns[i], 1) if columns else None) for i, n in enumerate(names)]
    return Scene(scene_id, "park", tuple(placed))


def row(scene: Scene, found: Sequence[Found], seed: int = 0, index: int = 0, **facts: object) -> Row:
    name = f"{scene.id}-{seed}-{index}"
    verdict = judge_picture(found, scene, CAST, width=SIZE, height=SIZE, picture_id=name)
    return row_of(scene, verdict, path=f"{name}.png", seed=seed, **facts)


def perfect(scene: Scene) -> list[Found]:
    """Everybody in place, or from left to right where no place is asked for."""
    return [figure(p.character, p.cell[0] if p.cell else i) for i, p in enumerate(scene.people)]
