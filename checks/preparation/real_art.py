"""Line 3: real anime art. Three characters, one in two outfits, each known by one drawing; twenty strangers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.framework import Context, Figure, Goal
from checks.preparation import CHECK
from checks.preparation.real_film import RATE, REFERENCES, SHOT_FRAMES, Appearance, fetch, film
from checks.shows import fullcast, must
from fullcast.audit.baselines import NearestReference, Reference
from fullcast.audit.truth import in_image
from fullcast.judging.statistics import clustered_share
from fullcast.records import UNKNOWN, Box, Image, Person
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_records
from fullcast.store.workspace import Workspace

LEAST_APPEARANCES = 200
GOALS = {
    "face or head recall": Goal(">=", 0.9),
    "identity": Goal(">=", 0.9),
    "unknown recall": Goal(">=", 0.8),
    "forms": Goal(">=", 0.8),
}
DETECTORS = {"pocket alone": "pocket", "with animeface": "pocket + animeface"}
"""The goals are asked of the last; what the first reaches is told beside it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An appearance in a kept frame, and whom it was taken for."""

    true: Appearance
    found: Person | None
    colours: tuple[str, str]
    """Character and form of the nearest reference by the colours of the true box: it has no unknown."""


@CHECK.line(3, "real anime art, one reference per character and outfit; intervals clustered by sprite")
def real_art(context: Context) -> Iterator[Figure]:
    """Nothing here chooses a setting: the recipe is the default but for the detector."""
    art = fetch(context)
    folder = context.work_dir / "real-art"
    appearances = film(art, folder, seed=3)
    for title, detector in DETECTORS.items():
        workspace = _workspace(folder, art)
        context.say(f"preparing, {title}")
        must(fullcast("prepare", "-w", workspace, "--models.detector", detector), f"prepare {title}")
        judged = judge(workspace, appearances, art)
        goals = GOALS if title == list(DETECTORS)[-1] else {}
        if goals:
            yield Figure("appearances in kept frames", float(len(judged)), Goal(">=", LEAST_APPEARANCES))
        yield from figures(judged, title, goals)


def figures(judged: Sequence[Judged], title: str, goals: dict[str, Goal]) -> Iterator[Figure]:
    """Recall over all; identity and forms over those of the cast who were found, unknown over found strangers."""
    found = [j for j in judged if j.found is not None]
    cast = [j for j in found if j.true.character != UNKNOWN]
    strangers = [j for j in found if j.true.character == UNKNOWN]
    dressed = [j for j in cast if j.true.character == "sylvie"]
    rows = {
        "face or head recall": (judged, [j.found is not None for j in judged]),
        "recall of the cast": (
            (all_cast := [j for j in judged if j.true.character != UNKNOWN]),
            [j.found is not None for j in all_cast],
        ),
        "identity": (cast, [_named(j) == j.true.character for j in cast]),
        "unknown recall": (strangers, [_named(j) == UNKNOWN for j in strangers]),
        "forms": (dressed, [_look(j) == (j.true.character, j.true.form) for j in dressed]),
        "identity by colours": (cast, [j.colours[0] == j.true.character for j in cast]),
        "forms by colours": (dressed, [j.colours == (j.true.character, j.true.form) for j in dressed]),
    }
    for name, (who, right) in rows.items():
        if right:
            value = clustered_share(right, [j.true.sprite for j in who])
            yield Figure(f"{title}: {name}", value.value, goals.get(name), value.n, value.low, value.high)
        else:
            yield Figure(f"{title}: {name}", float("nan"), goals.get(name), note="nobody was found")


def judge(workspace: Path, appearances: Sequence[Appearance], art: Path) -> list[Judged]:
    """Everybody in the frames that prepare kept; each found person goes to one appearance at most."""
    opened = Workspace.open(workspace)
    images = read_records(opened.show_dir / "images.parquet", Image)
    people = read_records(opened.show_dir / "people.parquet", Person)
    from fullcast.audit import video_names

    names = video_names(opened)
    nearest = NearestReference([_reference(art, sprite) for sprite in REFERENCES])
    answer = []
    for image in images:
        if image.source != "screenshots" or image.dropped or image.parent:
            continue
        shot = int(image.time_s * RATE + 0.5) // SHOT_FRAMES
        here = [a for a in appearances if a.episode == names[image.video_id] and a.shot == shot]
        found = match([p for p in people if p.image_id == image.id], [in_image(a.head, image) for a in here])
        picture = read_picture(workspace / image.path)
        answer += [
            Judged(a, person, nearest.by_histogram(picture, in_image(a.xyxy, image)))
            for a, person in zip(here, found, strict=True)
        ]
    return answer


def match(people: Sequence[Person], heads: Sequence[Box]) -> list[Person | None]:
    """For each true head who was found there: a head whose centre lies in it and whose height is 0.4 to 2 of its own.

    True heads were read off by eye and found ones are faces, skulls or all the hair: IoU would measure the convention.
    """
    free = list(people)
    answer: list[Person | None] = []
    for head in heads:
        fits = [p for p in free if p.head_xyxy is not None and _fits(p.head_xyxy, head)]
        best = max(fits, key=lambda p: p.head_confidence, default=None)
        if best is not None:
            free.remove(best)
        answer.append(best)
    return answer


def _fits(found: Box, true: Box) -> bool:
    x, y = (found[0] + found[2]) / 2, (found[1] + found[3]) / 2
    ratio = (found[3] - found[1]) / max(1.0, true[3] - true[1])
    return true[0] <= x <= true[2] and true[1] <= y <= true[3] and 0.4 <= ratio <= 2.0


def _named(judged: Judged) -> str:
    return judged.found.character if judged.found else ""


def _look(judged: Judged) -> tuple[str, str]:
    return (judged.found.character, judged.found.form) if judged.found else ("", "")


def _reference(art: Path, sprite) -> Reference:
    picture = read_picture(art / sprite.path)
    return Reference(
        sprite.character, sprite.form, picture, (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
    )


def _workspace(folder: Path, art: Path) -> Path:
    """A new workspace's folder with the episodes and one reference for each look; kept between runs."""
    workspace = folder / "workspace"
    if not (workspace / "fullcast.toml").exists():
        must(fullcast("new", workspace), "new")
        shutil.copytree(folder / "episodes", workspace / "episodes", dirs_exist_ok=True)
        for sprite in REFERENCES:
            place = workspace / "references" / sprite.character / sprite.form
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(art / sprite.path, place / Path(sprite.path).name.replace(" ", "-"))
    return workspace
