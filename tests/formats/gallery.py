"""Pictures to export: names in Japanese, a comma in a folder, captions of 300 characters and of none, hard weights."""

from __future__ import annotations

import numpy as np

from fullcast.formats.items import Item
from fullcast.records import Person, Sample

LONG = ", ".join(["aoi and hinata in the park"] * 12)[:300]
CAPTIONS = ("2people, aoi, hinata", "あおい、公園で笑う", LONG, "")
FOLDERS = ("screenshots", "a, b/1_people", "山のススメ/2人", "c.d")
SOURCES = ("screenshots", "fanart", "regularization")


def make_items(count: int = 60, seed: int = 0, decades: float = 2.0) -> list[Item]:
    """`count` pictures of 32x24 px made from crops twice that size. Weights span `decades` powers of ten; every ninth
    is 0. Names repeat, so that combinations of the seed's hierarchy have more than ten pictures."""
    draw = np.random.default_rng(seed)
    return [_item(i, draw, decades) for i in range(count)]


def _item(i: int, draw: np.random.Generator, decades: float) -> Item:
    source = SOURCES[i % 3]
    image_id = f"im{i:04d}"
    people = _people(image_id, i) if source != "regularization" else ()
    name = f"絵{i:04d}_full" if i % 4 else f"{image_id}_person_1-2-30-40"
    path = f"regularization/手, 足/{i}.png" if source == "regularization" else f"{source}/{i}.png"
    sample = Sample(name, image_id, path, (0, 0, 64, 48), source, people, tags=("park", "空"), rating="general")  # type: ignore[arg-type]
    pixels = draw.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    weight = 0.0 if i % 9 == 8 else float(10 ** draw.uniform(0, decades))
    return Item(sample, pixels, CAPTIONS[i % len(CAPTIONS)], weight, FOLDERS[i % len(FOLDERS)])


def _people(image_id: str, i: int) -> tuple[Person, ...]:
    """Nobody, Aoi, Aoi and Hinata with her hair down, those and somebody unknown without a head."""
    aoi = Person(
        f"{image_id}/1", image_id, (4, 2, 20, 46), 0.9, (8, 4, 16, 16), character="あおい", tags=("smile", "hat")
    )
    hinata = Person(f"{image_id}/2", image_id, (24, 2, 40, 46), 0.9, (28, 6, 36, 18), character="hinata", form="down")
    someone = Person(f"{image_id}/3", image_id, (44, 2, 60, 46), 0.9, None, character="unknown")
    return ((), (aoi,), (aoi, hinata), (aoi, hinata, someone))[(i // 3) % 4]


def weights_of(items: list[Item]) -> np.ndarray:
    return np.array([item.weight for item in items])
