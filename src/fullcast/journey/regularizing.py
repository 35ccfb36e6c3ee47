"""Regularization pictures from the base model itself: it draws what its own words mean, so that training keeps them.

Captions come from a file, or from the show's own samples with everybody's name taken out: "a person at left with brown
hair" keeps what the base knows of persons, places and counts. Nobody of the cast may be in them: captions are checked
by words, pictures by the networks that label.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.answers import Answer
from fullcast.journey.doors import Doors
from fullcast.journey.making import BASE, find_checkpoint, generation_config, open_model
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.recognition.words import words_of_part
from fullcast.records import UNKNOWN, Cast, Person, Picture, Scene
from fullcast.store.atomic import replacing, write_text
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture
from fullcast.store.seeding import key, rng

if TYPE_CHECKING:
    from fullcast.captions.source import Captions
    from fullcast.journey import Journey

MADE = "made"
"""Folder in regularization/ for what was drawn here; another folder is never written to."""

CAPTION = ".caption"
"""Of the file beside a picture, as other trainers name it too. Not .txt, which `prepare` reads as tags."""

LOOKED_AT = 16
"""Pictures looked at together."""


@dataclass(frozen=True)
class _Refused:
    """A picture that shows somebody of the cast."""

    path: Path
    who: str


def regularize(journey: Journey, count: int, captions: Path | None, seed: int, checkpoint: str) -> Answer:
    """`count` pictures with their captions beside them in regularization/made; what is there is not drawn again. Each
    begins with noise of its own, so that a caption that comes again is another picture.

    Raises FullcastError for a caption of the file with a name of the cast in it, and where there is nothing to take
    captions from.
    """
    from fullcast.generation.generate import generate as draw

    if count < 1:
        raise FullcastError(f"--count {count}: ask for at least one picture")
    workspace = journey.workspace
    ready = read_prepared(journey)
    if captions:
        said, passed_over = list(_from_file(captions, count)), 0
        refuse_names(said, ready.cast)
    else:
        said, passed_over = nameless_captions(journey, ready, count, seed)
    chosen = find_checkpoint(journey, checkpoint or BASE)
    scenes = [Scene(f"made-{number:05d}", caption) for number, caption in enumerate(said)]
    drafts = workspace.pictures_dir / "regularization"
    pictures = draw(
        open_model(journey, chosen.folder),
        scenes,
        ready.cast,
        generation_config(journey, seed=seed),
        drafts,
        seeds=[key(seed, "regularize", number) % 2**32 for number in range(len(said))],
        checkpoint=chosen.name,
        progress=journey.progress,
        painters=Doors(workspace, journey.recipe).painters(chosen.folder),
    )
    refused = list(_targets(journey, ready.cast, [drafts / picture.path for picture in pictures]))
    kept = _keep(workspace.regularization_dir / MADE, drafts, pictures, said, {r.path for r in refused})
    lines = [f"{len(kept)} pictures with their captions in regularization/{MADE}; fullcast prepare takes them in"]
    if passed_over:
        lines.append(f"  {passed_over} captions were passed over, for they say somebody of the cast")
    if refused:
        lines.append(f"  {len(refused)} were left out, for they show somebody of the cast:")
        lines += [f"    {workspace.relative(r.path)}: {r.who}" for r in refused]
    data = {
        "pictures": [workspace.relative(path) for path in kept],
        "refused": [{"path": workspace.relative(r.path), "who": r.who} for r in refused],
        "captions_passed_over": passed_over,
    }
    return Answer("\n".join(lines), data)


def nameless_captions(journey: Journey, ready: Prepared, count: int, seed: int) -> tuple[list[str], int]:
    """Captions of the show's samples in which nobody has a name; those of no people too. Drawn with replacement only
    when there are fewer samples than pictures asked for.

    Also how many were passed over, because a word of them is a name of the cast. Raises FullcastError where nothing is
    left.
    """
    from fullcast.captions.source import Captions
    from fullcast.mixture.samples import make_samples

    originals = [image for image in ready.images if not image.dropped and image.source != "regularization"]
    people = [_nobody(person) for person in ready.people]
    scenes = {image: words_of_part(tags, 0) for image, tags in ready.scene_tags.items()}  # nobody asks for subtitles
    samples = make_samples(originals, people, journey.recipe.mixture, scenes, ready.ratings)
    if not samples:
        raise FullcastError("there is no sample to take captions from; give a file of captions: --captions FILE")
    source = Captions(samples, ready.cast, journey.recipe.captions, seed)
    order = rng(seed, "regularize", "order").permutation(len(samples))
    said: list[str] = []
    passed_over = 0
    for caption in _visits(source, [samples[index].id for index in order], _names(ready.cast)):
        if caption is None:
            passed_over += 1
        else:
            said.append(caption)
        if len(said) == count:
            return said, passed_over
        if not said and passed_over == len(samples):
            break
    raise FullcastError(
        f"each of the {passed_over} captions of the show's samples says somebody of the cast; give a file of captions: "
        "--captions FILE"
    )


def _visits(source: Captions, samples: Sequence[str], names: re.Pattern[str] | None) -> Iterator[str | None]:
    """Captions without end, visit by visit; None for one with a name in it (words of a file, or of a person's edit)."""
    for visit in itertools.count():
        for sample in samples:
            caption = source.caption(sample, visit)
            yield None if names and names.search(caption) else caption


def _nobody(person: Person) -> Person:
    """The same figure without a name: what its name absorbed is said again."""
    return replace(person, character=UNKNOWN, form="")


def refuse_names(captions: Sequence[str], cast: Cast) -> None:
    """Raises FullcastError for the first caption that says a name or a trigger word of the cast as a word."""
    names = _names(cast)
    if names is None:
        return
    for number, caption in enumerate(captions, 1):
        if found := names.search(caption):
            raise FullcastError(
                f"caption {number} says {found[1]!r}, who is of the cast; regularization pictures must not teach it: "
                f"{caption[:80]!r}"
            )


def _names(cast: Cast) -> re.Pattern[str] | None:
    """Finds whoever of the cast a caption says, by name or trigger word."""
    from fullcast.captions.vocabulary import names_pattern

    return names_pattern({word for character in cast.characters for word in (character.name, character.trigger_word)})


def _from_file(path: Path, count: int) -> Iterator[str]:
    """The lines of a text file, over and over until there are enough; empty ones are passed over."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FullcastError(f"--captions {path}: cannot be read as text ({error})") from None
    if not lines:
        raise FullcastError(f"--captions {path}: there is no caption in it; wanted is one on each line")
    for number in range(count):
        yield lines[number % len(lines)]


def _targets(journey: Journey, cast: Cast, paths: Sequence[Path]) -> Iterator[_Refused]:
    """Pictures in which the labelling networks see somebody of the cast."""
    from fullcast.recognition.look import CastLook

    doors = Doors(journey.workspace, journey.recipe)
    look = CastLook(doors.detector, doors.embedder, cast)
    for start in range(0, len(paths), LOOKED_AT):
        batch = paths[start : start + LOOKED_AT]
        for path, found in zip(batch, look.look([read_picture(path) for path in batch]), strict=True):
            who = sorted({figure.character for figure in found} - {UNKNOWN})
            if who:
                yield _Refused(path, ", ".join(who))


def _keep(
    folder: Path, drafts: Path, pictures: Sequence[Picture], captions: Sequence[str], refused: set[Path]
) -> list[Path]:
    """Copies what was not refused, with its caption; what an earlier run kept and this one refuses is taken out."""
    kept = []
    for picture, caption in zip(pictures, captions, strict=True):
        source, target = drafts / picture.path, folder / picture.path
        target.with_suffix(".txt").unlink(missing_ok=True)  # there captions lay once, and were read as tags
        if source in refused:
            target.unlink(missing_ok=True)
            target.with_suffix(CAPTION).unlink(missing_ok=True)
            continue
        if not target.exists() or target.read_bytes() != source.read_bytes():
            with replacing(target) as temporary:
                temporary.write_bytes(source.read_bytes())
        write_text(target.with_suffix(CAPTION), caption + "\n")
        kept.append(target)
    return kept
