"""A small show for the tests of this folder: who is in how many pictures of which source."""

from __future__ import annotations

from dataclasses import replace

from fullcast.records import Person, Sample


def sample(name: str, source: str, *characters: str, image: str = "", form: str = "") -> Sample:
    image = image or name
    people = tuple(
        Person(f"{image}/{i}", image, (100.0 * i, 0, 100.0 * i + 90, 300), 0.9, (100.0 * i + 20, 0, 100.0 * i + 70, 60))
        for i in range(len(characters))
    )
    people = tuple(_named(person, who, form) for person, who in zip(people, characters, strict=True))
    return Sample(name, image, f"{image}.png", (0, 0, 500, 300), source, people)  # type: ignore[arg-type]


def _named(person: Person, who: str, form: str) -> Person:
    return replace(person, character=who, form=form)


SHOW = [
    *(sample(f"aoi{i}", "screenshots", "aoi") for i in range(30)),
    *(sample(f"hinata{i}", "screenshots", "hinata") for i in range(10)),
    *(sample(f"both{i}", "screenshots", "aoi", "hinata") for i in range(5)),
    *(sample(f"empty{i}", "screenshots") for i in range(3)),
    *(sample(f"fan{i}", "fanart", "aoi") for i in range(4)),
    *(sample(f"reg{i}", "regularization", "unknown") for i in range(200)),
]
