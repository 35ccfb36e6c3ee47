"""Held-out scenes: who is asked for, in which form, where, before which setting. No word for hair, eyes or clothes.

A benchmark is a file of scenes, one JSON object a line, that anybody can run; `recognition.scenes` reads it, and gives
the roles in one for any cast to the characters of a cast file. `benchmarks/scenes/` holds the one that we publish on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.judging.counterfactual import SWAPPED
from fullcast.recognition.scenes import ROLE
from fullcast.records import GRID, Cast, Character, Form, Placement, Scene
from fullcast.store.atomic import write_text
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import key, rng
from fullcast.store.tables import to_plain

HEAD_ROWS = (1, 2)
"""Rows of the 5x5 grid in which heads are asked to be: the upper middle, where shows put them."""

MIN_SPAN = {1: 0, 2: 2, 3: 3, 4: 3}
"""Columns between the first and the last of N people at least (4 for five and more): nobody frames two people in
neighbouring fifths of a wide picture."""


def make_scenes(cast: Cast, n_per_count: int, seed: int, settings: Sequence[str], max_people: int = 5) -> list[Scene]:
    """``n_per_count`` scenes for each number of people from 1 to ``max_people``, with places; left to right.

    Characters take turns (each is asked for equally often, give or take one, at each N), as do the settings; forms, who
    meets whom and where are drawn. `Scene.without_places` gives the same request with prompts only.
    """
    if len(cast.characters) < max_people:
        raise FullcastError(
            f"scenes of {max_people} people need as many characters; the cast of {cast.show!r} has "
            f"{len(cast.characters)}: ask for fewer people"
        )
    if not settings:
        raise FullcastError("a benchmark needs at least one setting, such as 'park'")
    scenes = []
    for n in range(1, max_people + 1):
        generator = rng(seed, "benchmark-scenes", n)
        dealt = _deal_characters(cast, n, n_per_count, generator)
        for i, characters in enumerate(dealt):
            cells = _draw_cells(n, generator)
            people = tuple(_place(c, cell, generator) for c, cell in zip(characters, cells, strict=True))
            scenes.append(Scene(f"n{n}-{i:04d}", settings[(i + n) % len(settings)], people))
    return scenes


def seed_of(scene: Scene, benchmark_seed: int, index: int = 0) -> int:
    """32 bits for a scene's ``index``-th picture, the same for every model and for the scene with two people's places
    changed (`counterfactual`), so that all start from one noise: the scene's own from its seed on, else a hash."""
    if scene.seed >= 0:
        return scene.seed + index
    return key(benchmark_seed, "benchmark-picture", f"{scene.id.removesuffix(SWAPPED)}/{index}") % 2**32


def template_cast(num_characters: int = 8, num_forms: int = 2) -> Cast:
    """A cast of roles, to make scenes for any cast of at least as many characters."""
    forms = tuple(Form(f"{ROLE}{i}") for i in range(num_forms))
    return Cast("any", tuple(Character(f"{ROLE}{i}", f"{ROLE}{i}", forms) for i in range(num_characters)))


def write_scenes(path: Path, scenes: Sequence[Scene]) -> None:
    """One JSON object a line; fields that hold their default are left out."""
    write_text(path, "".join(json.dumps(_short(to_plain(s)), ensure_ascii=False) + "\n" for s in scenes))


def _deal_characters(cast: Cast, n: int, count: int, generator: np.random.Generator) -> list[list[Character]]:
    """``count`` hands of n different characters, dealt from decks that hold everybody once."""
    deck: list[Character] = []
    hands = []
    for _ in range(count):
        hand: list[Character] = []
        while len(hand) < n:
            if not deck:
                deck = [cast.characters[i] for i in generator.permutation(len(cast.characters))]
            card = next((c for c in deck if c not in hand), None)
            if card is None:  # only those already in the hand are left: a new deck goes underneath
                deck += [cast.characters[i] for i in generator.permutation(len(cast.characters))]
                continue
            deck.remove(card)
            hand.append(card)
        hands.append([hand[i] for i in generator.permutation(n)])
    return hands


def _draw_cells(n: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """n cells from left to right; columns are shared only where there are more people than columns."""
    if n <= GRID:
        choices = [c for c in combinations(range(GRID), n) if c[-1] - c[0] >= MIN_SPAN.get(n, GRID - 1)]
        columns = choices[generator.integers(len(choices))]
    else:
        columns = tuple(i * GRID // n for i in range(n))
    return [(column, int(generator.choice(HEAD_ROWS))) for column in columns]


def _place(character: Character, cell: tuple[int, int], generator: np.random.Generator) -> Placement:
    form = character.forms[generator.integers(len(character.forms))]
    return Placement(character.name, form.name, cell)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Without empty fields, people included."""
    row["people"] = [{k: v for k, v in person.items() if v not in ("", None)} for person in row["people"]]
    return {k: v for k, v in row.items() if v not in ("", -1) and (v or k in ("seed", "people"))}
