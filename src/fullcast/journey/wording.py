"""Stage 3 of prepare: words for people and pictures, partition by partition; what names absorb, over the whole show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.deciding import decide_scenes, decide_tags, decided_ids
from fullcast.journey.mapping import make_all
from fullcast.journey.naming import Named
from fullcast.journey.reusing import Former, box_line, boxes_of, image_of_item
from fullcast.journey.sifting import ratings_of
from fullcast.journey.taking_in import Partition, TakenIn
from fullcast.ports import Progress, silent
from fullcast.records import Cast, Drop, Image, Person, Sample
from fullcast.store.atomic import write_json
from fullcast.store.executors import Task
from fullcast.store.partitions import partition_key
from fullcast.store.tables import read_records, to_plain, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.captions.config import CaptionsConfig
    from fullcast.captions.core import TraitCount
    from fullcast.captions.count import CountCheck
    from fullcast.captions.source import Captions
    from fullcast.captions.tagging import Words
    from fullcast.journey import Journey
    from fullcast.journey.doors import Doors
    from fullcast.models.base import Tagger

SPECIAL_TOKENS = 2
"""Start and end marks: what a text encoder reads besides the words."""


@dataclass(frozen=True)
class Worded:
    """People with their own words, the cast with what each name absorbs, and words about whole pictures."""

    cast: Cast
    people: tuple[Person, ...]
    scene_tags: dict[str, tuple[str, ...]]
    """By image id: settings, light."""
    ratings: dict[str, str]
    """By image id, of those that the file or the tagger rates."""
    drops: tuple[Drop, ...]
    counts: tuple[CountCheck, ...] = ()
    """Of pictures whose words say how many people they hold."""
    traits: tuple[TraitCount, ...] = ()
    """What each look was seen with, and what of it its name absorbs."""


def tag_all(journey: Journey, doors: Doors, taken: TakenIn, named: Named) -> tuple[list[Words], list[Drop]]:
    """What the tagger says of every figure and picture, partition by partition, and what it could not read."""
    from fullcast.captions.tagging import Words

    partitions = [partition for partition in taken.partitions if partition.images]
    tasks = [_tagging(journey, doors, partition, named) for partition in partitions]
    make_all(journey, tasks, "words", device=True)
    words = [word for task in tasks for word in read_records(task.result_dir / "words.parquet", Words)]
    drops = [drop for task in tasks for drop in read_records(task.result_dir / "drops.parquet", Drop)]
    return words, drops


def word_all(
    journey: Journey, taken: TakenIn, named: Named, words: Sequence[Words], drops: Sequence[Drop] = ()
) -> Worded:
    """Words sorted by whom they are about, what names absorb, counts; over the whole show, no pixels."""
    from fullcast.captions.core import count_traits, with_core_tags
    from fullcast.captions.count import check_counts
    from fullcast.captions.tagging import scene_tags, tagged_people

    config = journey.recipe.captions
    counts = check_counts(taken.images, named.people, words, decided_ids(named.decided))
    miscounted = {check.image_id for check in counts if not check.agrees}
    tagged = tagged_people(named.people, words, taken.images, _names(named.cast), miscounted)
    people = decide_tags(tagged, named.decided)
    used = {image.id for image in taken.images if not image.dropped} - miscounted
    traits = count_traits((person for person in people if person.image_id in used), config)
    cast = with_core_tags(named.cast, traits)
    say = journey.recipe.ingest.filters.subtitles == "say"
    scenes = decide_scenes(scene_tags(taken.images, words, config, say), named.decided)
    ratings = ratings_of(taken.images, words)
    return Worded(cast, tuple(people), scenes, ratings, tuple(drops), tuple(counts), tuple(traits))


def _names(cast: Cast) -> frozenset[str]:
    """Names and trigger words, in small letters."""
    return frozenset(word.lower() for c in cast.characters for word in (c.name, c.trigger_word) if word)


def _tagging(journey: Journey, doors: Doors, partition: Partition, named: Named) -> Task:
    from fullcast.captions.tagging import CONFIG_FIELDS, VERSION

    config = journey.recipe.captions
    read = config.model_dump(mode="json", include=set(CONFIG_FIELDS))
    ids = {image.id for image in partition.images}
    people = [person for person in named.decided.seen if person.image_id in ids]
    added = sorted(box_line(p) for p in people if p.id not in named.found)
    key = partition_key([partition.key, named.keys[partition.name], *added], read, [doors.tagger.name], VERSION)
    folder = journey.workspace.tags_dir / partition.name
    arguments = (partition.images, people, folder, journey.workspace.root, doors.tagger, config)
    return Task(folder, key, _tag, arguments)


def _tag(
    out: Path,
    images: Sequence[Image],
    people: Sequence[Person],
    former: Path,
    root: Path,
    tagger: Tagger,
    config: CaptionsConfig,
    progress: Progress = silent,
) -> None:
    """Writes the words of a partition's figures and pictures into `out`; what the `former` result says of pictures
    whose figures are as they were is not asked again."""
    from fullcast.captions.tagging import CONFIG_FIELDS, VERSION, Words, tag_partition

    made_with = partition_key([], config.model_dump(mode="json", include=set(CONFIG_FIELDS)), [tagger.name], VERSION)
    boxes = boxes_of(people)
    told = {image.id: boxes.get(image.id, "") for image in images if not image.dropped}
    earlier = Former.of(former, made_with, told)
    tagged = tag_partition(earlier.unseen(images), people, root, tagger, config, progress)
    about = {"tagger": tagger.name}
    earlier.write(out, "words.parquet", Words, tagged.words, lambda words: image_of_item(words.item), about)
    earlier.finish(out, tagged.drops)


def caption_source(journey: Journey, cast: Cast, samples: Sequence[Sample], for_others: bool = False) -> Captions:
    """The captions of a plan's samples, measured with the tokenizer of the base. for_others: written for trainers that
    may read more than the base's text encoder does here."""
    from fullcast.captions.source import Captions
    from fullcast.journey.doors import Doors

    counter = TokenCounter(Doors(journey.workspace, journey.recipe).path("base"))
    counts, own = read_about_captions(journey.workspace)
    return Captions(
        samples,
        cast,
        journey.recipe.captions,
        journey.recipe.seed,
        count_tokens=counter,
        token_limit=(for_others and journey.recipe.captions.token_budget) or counter.limit,
        counts=counts,
        own=own,
    )


SURVEYED = 2000
"""Samples whose captions are measured for the plan, evenly over all: a second or two, and 2 % of them are told to
within 0.6 %."""


def survey_captions(stages: Sequence[tuple[Journey, Sequence[Sample]]], cast: Cast) -> tuple[str, dict[str, float]]:
    """How many captions are too long for the text encoder, and lose words for it: in words and as data. Of each stage
    its own samples, with the journey whose settings they are captioned by."""
    from fullcast.captions.source import Survey

    step = max(1, -(-sum(len(samples) for _, samples in stages) // SURVEYED))
    chosen = [(own, samples[::step]) for own, samples in stages]
    progress = stages[0][0].progress
    progress.start("lengths of captions", sum(len(samples) for _, samples in chosen))
    surveys = [caption_source(own, cast, samples).survey(progress=progress) for own, samples in chosen]
    progress.done()
    survey = Survey.over(surveys)
    told = (
        f"captions: {survey.mean:.0f} tokens in the mean, {survey.longest} at most, of {survey.token_limit}; "
        f"of {survey.captions} looked at {survey.shortened} lose words to fit, {survey.cut_off} are cut off even so"
    )
    return told, to_plain(survey)


def write_about_captions(workspace: Workspace, worded: Worded, own: Mapping[str, str]) -> None:
    """What captions must know besides samples: doubtful counts, and sentences that a person wrote."""
    from fullcast.captions.core import TraitCount
    from fullcast.captions.count import CountCheck

    write_records(workspace.show_dir / "counts.parquet", worded.counts, CountCheck)
    write_records(workspace.show_dir / "traits.parquet", worded.traits, TraitCount)
    write_json(workspace.show_dir / "captions.json", dict(own))


def read_about_captions(workspace: Workspace) -> tuple[list[CountCheck], dict[str, str]]:
    """The same again; nothing for a show that was prepared before there was such a table."""
    from fullcast.captions.count import CountCheck

    table, own = workspace.show_dir / "counts.parquet", workspace.show_dir / "captions.json"
    counts = read_records(table, CountCheck) if table.exists() else []
    return counts, json.loads(own.read_text(encoding="utf-8")) if own.exists() else {}


@dataclass(frozen=True)
class TokenCounter:
    """Tokens of a text without the special ones; picklable, opens its tokenizer where it is used."""

    base: Path
    """The model whose tokenizer it is: a diffusers folder or a single file."""

    def __call__(self, text: str) -> int:
        return len(_tokenizer(self.base)(text, truncation=False).input_ids) - SPECIAL_TOKENS

    @property
    def limit(self) -> int:
        """What the text encoder reads, without the special tokens."""
        return _tokenizer(self.base).model_max_length - SPECIAL_TOKENS


@cache
def _tokenizer(base: Path) -> Any:
    import logging
    import os

    from fullcast.models.stable_diffusion.tokenizer import open_tokenizer

    # transformers would warn where there is no torch, which a tokenizer does not want.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # Counting what is too long is the point here; transformers would warn of each such text.
    logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
    return open_tokenizer(base)


def common_settings(scene_tags: dict[str, tuple[str, ...]], images: Iterable[Image], most: int = 8) -> tuple[str, ...]:
    """The show's places, commonest first: what its scenes are asked to play in."""
    from fullcast.captions.vocabulary import kind_of

    used = [image.id for image in images if not image.dropped and image.source == "screenshots"]
    counts = Counter(tag for image_id in used for tag in scene_tags.get(image_id, ()) if kind_of(tag) == "setting")
    return tuple(tag for tag, _ in counts.most_common(most))
