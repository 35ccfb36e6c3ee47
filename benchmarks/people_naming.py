"""How long naming a large show takes, and what tracks add: `python benchmarks/people_naming.py [--people 40000]`.

Synthetic unit vectors (128 numbers): 60 characters with ten references, noise 0.6 on references and 1.1 on figures
(lengths relative to the centre's), 20 of 80 faces strangers, one to five people and one to five frames per shot.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.people.naming import name_people
from fullcast.recognition.identify import Gallery, calibrate
from fullcast.records import UNKNOWN, Cast, Character, Form, Image, Person
from fullcast.store.seeding import rng as keyed

CHARACTERS, STRANGERS, DIM = 60, 20, 128


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def near(centre: np.ndarray, noise: float, rng: np.random.Generator, count: int = 1) -> np.ndarray:
    return unit(centre + noise * rng.normal(size=(count, DIM)) / np.sqrt(DIM))


def show(
    num_people: int, centres: np.ndarray, rng: np.random.Generator
) -> tuple[list[Image], list[Person], list[str], int]:
    """Frames, people, true names, number of shots."""
    images: list[Image] = []
    people: list[Person] = []
    truth: list[str] = []
    shot = 0
    while len(people) < num_people:
        who = [int(w) for w in rng.choice(CHARACTERS + STRANGERS, int(rng.integers(1, 6)), replace=False)]
        faces = [centres[w] if w < CHARACTERS else unit(rng.normal(size=DIM)) for w in who]
        for number in range(int(rng.integers(1, 6))):
            name = f"i{len(images)}"
            images.append(Image(name, name, 1280, 720, "screenshots", shot_id=f"v:{shot:04d}", time_s=number * 2.0))
            for k, (w, face) in enumerate(zip(who, faces, strict=True)):
                x = 100 + 200 * k + float(rng.normal()) * 10
                vector = near(face, 1.1, rng)[0]
                box = (x, 100.0, x + 80, 180.0)
                people.append(Person(f"{name}/{k}", name, (x, 100, x + 90, 400), 0.9, head_xyxy=box, embedding=vector))
                truth.append(f"c{w}" if w < CHARACTERS else UNKNOWN)
        shot += 1
    return images, people, truth, shot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=40_000)
    rng = keyed(0, "benchmark", "people-naming")
    centres = unit(rng.normal(size=(CHARACTERS, DIM)))
    forms = [Form("", references=near(centre, 0.6, rng, 10)) for centre in centres]
    cast = Cast("show", tuple(Character(f"c{i}", f"c{i}", (form,)) for i, form in enumerate(forms)), "synthetic")
    cast = replace(cast, threshold=calibrate(Gallery.of(cast), prior=0.5).threshold)
    images, people, truth, shots = show(parser.parse_args().people, centres, rng)
    stranger = np.array([name == UNKNOWN for name in truth])
    print(f"{len(people)} people, {len(images)} frames, {shots} shots, threshold {cast.threshold:.3f}")
    for title, frames in (
        ("tracks in shots", images),
        ("every picture alone", [replace(i, shot_id="") for i in images]),
    ):
        start = time.perf_counter()
        named = name_people(people, frames, cast, PeopleConfig())
        seconds = time.perf_counter() - start
        right = np.array([p.character == name for p, name in zip(named, truth, strict=True)])
        print(f"{title:20} {seconds:6.1f} s   known right {right[~stranger].mean():.4f}   ", end="")
        print(f"unknown refused {right[stranger].mean():.4f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
