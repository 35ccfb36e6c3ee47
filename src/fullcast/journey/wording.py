"""Stage 3 of prepare: words for people and pictures, partition by partition; what names absorb, over the whole show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.naming import Named
from fullcast.journey.taking_in import Partition, TakenIn
from fullcast.records import Cast, Drop, Image, Person, Sample
from fullcast.store.partitions import cached_dir, partition_key
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.captions.source import Captions
    from fullcast.captions.tagging import Words
    from fullcast.journey import Journey
    from fullcast.journey.doors import Doors

SPECIAL_TOKENS = 2
"""Start and end marks: what a text encoder reads besides the words."""


@dataclass(frozen=True)
class Worded:
    """People with their own words, the cast with what each name absorbs, and words about whole pictures."""

    cast: Cast
    people: tuple[Person, ...]
    scene_tags: dict[str, tuple[str, ...]]
    """By image id: settings, light."""
    drops: tuple[Drop, ...]


def word_all(journey: Journey, doors: Doors, taken: TakenIn, named: Named) -> Worded:
    from fullcast.captions.core import count_traits, with_core_tags
    from fullcast.captions.tagging import scene_tags, tagged_people

    words: list[Words] = []
    drops: list[Drop] = []
    for partition in taken.partitions:
        if partition.images:
            said, lost = _tag(journey, doors, partition, named)
            words += said
            drops += lost
    config = journey.recipe.captions
    people = tagged_people(named.people, words, taken.images)
    used = {image.id for image in taken.images if not image.dropped}
    traits = count_traits((person for person in people if person.image_id in used), config)
    cast = with_core_tags(named.cast, traits)
    return Worded(cast, tuple(people), scene_tags(taken.images, words, config), tuple(drops))


def _tag(journey: Journey, doors: Doors, partition: Partition, named: Named) -> tuple[list[Words], list[Drop]]:
    from fullcast.captions.tagging import CONFIG_FIELDS, VERSION, Words, tag_partition

    config = journey.recipe.captions
    read = config.model_dump(mode="json", include=set(CONFIG_FIELDS))
    key = partition_key([partition.key, named.keys[partition.name]], read, [doors.tagger.name], VERSION)
    folder = journey.workspace.tags_dir / partition.name

    def make(out: Path) -> None:
        ids = {image.id for image in partition.images}
        people = [person for person in named.people if person.image_id in ids]
        tagged = tag_partition(partition.images, people, journey.workspace.root, doors.tagger, config, journey.progress)
        write_records(out / "words.parquet", tagged.words, Words, {"tagger": doors.tagger.name})
        write_records(out / "drops.parquet", tagged.drops, Drop)

    cached_dir(folder, key, make)
    return read_records(folder / "words.parquet", Words), read_records(folder / "drops.parquet", Drop)


def caption_source(journey: Journey, cast: Cast, samples: Sequence[Sample]) -> Captions:
    """The captions of a plan's samples, measured with the tokenizer of the base."""
    from fullcast.captions.source import Captions
    from fullcast.journey.doors import Doors

    counter = TokenCounter(Doors(journey.workspace, journey.recipe).path("base") / "tokenizer")
    return Captions(
        samples,
        cast,
        journey.recipe.captions,
        journey.recipe.seed,
        count_tokens=counter,
        token_limit=counter.limit,
    )


@dataclass(frozen=True)
class TokenCounter:
    """Tokens of a text without the special ones; picklable, opens its tokenizer where it is used."""

    folder: Path

    def __call__(self, text: str) -> int:
        return len(_tokenizer(self.folder)(text, truncation=False).input_ids) - SPECIAL_TOKENS

    @property
    def limit(self) -> int:
        """What the text encoder reads, without the special tokens."""
        return _tokenizer(self.folder).model_max_length - SPECIAL_TOKENS


@cache
def _tokenizer(folder: Path) -> Any:
    import logging

    from transformers import CLIPTokenizer

    # Counting what is too long is the point here; transformers would warn of each such text.
    logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def common_settings(scene_tags: dict[str, tuple[str, ...]], images: Iterable[Image], most: int = 8) -> tuple[str, ...]:
    """The show's places, commonest first: what its scenes are asked to play in."""
    from fullcast.captions.vocabulary import kind_of

    used = [image.id for image in images if not image.dropped and image.source == "screenshots"]
    counts = Counter(tag for image_id in used for tag in scene_tags.get(image_id, ()) if kind_of(tag) == "setting")
    return tuple(tag for tag, _ in counts.most_common(most))
