"""Which pictures are not used, and why: by what was said beside the file, what it is like, and who may not be used.

Pure functions over tables. A picture that is dropped keeps its row; the reason is one word, the detail a few.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fullcast.ingest.config import FilterConfig, IngestConfig
from fullcast.ingest.dedup import NEAR_DUPLICATE
from fullcast.ingest.measuring import Measure
from fullcast.recognition.words import SUBTITLED
from fullcast.records import Image
from fullcast.store.errors import FullcastError

STAGE = "filters"

LEVELS = ("general", "sensitive", "questionable", "explicit")
"""As boards and WD14 taggers have them since 2022, from the mildest on."""

_SPELLINGS = {
    **{name: level for level, name in enumerate(LEVELS)},
    **{"g": 0, "s": 1, "q": 2, "e": 3, "safe": 1, "sfw": 1, "r15": 2, "r18": 3, "r-15": 2, "r-18": 3, "nsfw": 3},
}
"""``safe`` and ``s`` may mean sensitive on some boards: the stricter reading counts."""

MAX_GREY = 2.0
"""`Measure.colour` below which a picture is monochrome; see docs/ingest.md for the pictures that it was measured on."""

TARGET = "target-in-regularization"
OPTED_OUT = "opted-out"
BY_FILTERS = frozenset({"rating", "monochrome", "blurred", "class", "quality", "text", SUBTITLED, OPTED_OUT, TARGET})
"""Every reason that this module gives."""

_RATING = re.compile(r"^rating:(.+)$")
BETWEEN_ARTISTS = re.compile(r"\s*[,;]\s*")
_ROLE = re.compile(r"^(?:artist|creator): ?| \(artist\)$")
"""What boards and their downloaders write around an artist's name."""


def rating_of(tags: Iterable[str]) -> str:
    """The boldest word after ``rating:`` among tags, or ''."""
    return boldest(m[1].strip().lower() for tag in tags if (m := _RATING.match(tag.lower())))


def boldest(ratings: Iterable[str]) -> str:
    """The rating that forbids most; '' says nothing."""
    return max(ratings, key=lambda rating: _level(rating) if rating else -1, default="")


def too_bold(rating: str, config: FilterConfig) -> bool:
    """Whether a rating is above the allowed one; one that nobody knows is taken for the boldest."""
    return bool(rating) and _level(rating) > LEVELS.index(config.max_rating)


def spelt_out(rating: str) -> str:
    """A board's short or old word as the one of LEVELS that it stands for; one that nobody knows stays."""
    return LEVELS[_SPELLINGS[rating]] if rating in _SPELLINGS else rating


def _level(rating: str) -> int:
    return _SPELLINGS.get(rating, len(LEVELS) - 1)


def merged(kept: Image, copy: Image) -> Image:
    """`kept` with all that is said of another copy of the same file: every artist, licence and address counts, and the
    boldest rating."""
    artists = (a for text in (kept.artist, copy.artist) for a in BETWEEN_ARTISTS.split(text))
    return replace(
        kept,
        tags=tuple(dict.fromkeys((*kept.tags, *copy.tags))),
        artist=_joined(", ", artists),
        licence=_joined("; ", (*kept.licence.split("; "), *copy.licence.split("; "))),
        url=_joined(" ", (*kept.url.split(), *copy.url.split())),
    )


def _joined(between: str, words: Iterable[str]) -> str:
    return between.join(dict.fromkeys(word for word in words if word))


@dataclass(frozen=True, slots=True)
class OptOut:
    """Whose pictures must not be used, whatever else is said."""

    artists: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    """Beginnings of addresses, without ``https://``."""
    pictures: frozenset[str] = field(default_factory=frozenset)
    """Ids (the first 20 digits of the file's sha256) or whole sha256."""

    def why(self, image: Image) -> str:
        """The entry that forbids the picture, or ''."""
        for name in (*BETWEEN_ARTISTS.split(image.artist), *image.tags):  # plain lists have artists among the tags
            if name and _artist(name) in self.artists:
                return f"artist {name}"
        for address in map(_bare, image.url.split()):
            for start in self.addresses:
                if address.startswith(start):
                    return start
        return image.id if image.id in self.pictures else ""


def read_opt_out(path: Path) -> OptOut:
    """A text file: on each line an artist's name, an address (or its beginning), or a picture's sha256.

    Empty lines and what follows a # are passed over; ``artist:`` before a name is allowed. A missing file forbids
    nothing. Raises FullcastError for one that is there and cannot be read as UTF-8.
    """
    artists, addresses, pictures = set(), [], set()
    for line in _lines(path):
        entry = line if "://" in line else line.split("#")[0]
        entry = entry.strip().removeprefix("artist:").strip()
        if not entry:
            continue
        if re.fullmatch(r"[0-9a-f]{20}([0-9a-f]{44})?", entry):
            pictures.add(entry[:20])
        elif "://" in entry or "/" in entry:
            addresses.append(_bare(entry))
        else:
            artists.add(_artist(entry))
    return OptOut(frozenset(artists), tuple(addresses), frozenset(pictures))


def _lines(path: Path) -> list[str]:
    if not os.path.lexists(path):
        return []
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FullcastError(
            f"{path} is no UTF-8 text (byte {error.start}); save it again as UTF-8: names that cannot be read would "
            "not be left out"
        ) from None
    except OSError as error:
        raise FullcastError(
            f"{path} is there and cannot be read ({error.strerror or error}); make it readable, or take it away if "
            "nobody opted out"
        ) from None


def folded(name: str) -> str:
    """A name by which spellings of it are compared: small letters, spaces for underscores."""
    return " ".join(name.casefold().replace("_", " ").split())


def _artist(name: str) -> str:
    """`folded`, without "artist:" before it and "(artist)" behind it."""
    return _ROLE.sub("", folded(name))


def _bare(address: str) -> str:
    return re.sub(r"^[a-z]+://(www\.)?", "", address.strip().lower())


def why_not(image: Image, measure: Measure | None, config: IngestConfig, opt_out: OptOut) -> tuple[str, str]:
    """(reason, detail) why a picture is not used, or two empty texts. Who opted out comes first."""
    filters = config.filters
    if entry := opt_out.why(image):
        return OPTED_OUT, entry
    if too_bold(rating := rating_of(image.tags), filters):
        return "rating", f"{rating} is said beside the file"
    if filters.subtitles == "drop" and SUBTITLED in image.tags:
        return SUBTITLED, "burned-in subtitles"
    if measure is None:
        return "", ""
    if measure.text > filters.max_text:
        return "text", f"{measure.text:.0%} of it is under text"
    if image.source not in filters.sources:
        return "", ""
    if filters.monochrome and measure.colour < MAX_GREY:
        return "monochrome", f"{measure.colour:.1f} levels of colour"
    if measure.detail < filters.min_detail:
        return "blurred", f"detail {measure.detail:.2f}"
    if measure.image_class and measure.image_class not in filters.classes:
        return "class", f"{measure.image_class} ({measure.class_probability:.2f})"
    if 0 <= measure.quality < filters.min_quality:
        return "quality", f"better than {measure.quality:.0%} of all pictures"
    return "", ""


def sift(
    images: Sequence[Image], measures: Mapping[str, Measure], config: IngestConfig, opt_out: OptOut
) -> tuple[list[Image], dict[str, str]]:
    """The same pictures with a reason where there is one, and the details by image id."""
    answer, details = [], {}
    for image in images:
        reason, detail = ("", "") if image.dropped else why_not(image, measures.get(image.id), config, opt_out)
        if reason:
            image, details[image.id] = replace(image, dropped=reason), detail
        answer.append(image)
    return answer, details


def sift_known(
    images: Sequence[Image], tagged: Mapping[str, str], targets: Mapping[str, str], config: FilterConfig
) -> tuple[list[Image], dict[str, str]]:
    """What can be said once tagger and names have spoken; near-duplicates are asked too, for one of them may come to
    stand for what is left out now.

    tagged: the tagger's rating by image id; targets: whom of the cast a picture shows, by image id.
    """
    answer, details = [], {}
    for image in images:
        reason = detail = ""
        leaks = image.source == "regularization" and image.id in targets and not config.targets_in_regularization
        if not rating_of(image.tags) and too_bold(tagged.get(image.id, ""), config):
            reason, detail = "rating", f"{tagged[image.id]} says the tagger"
        elif leaks:
            reason, detail = TARGET, targets[image.id]
        if reason and image.dropped in ("", NEAR_DUPLICATE):
            image, details[image.id] = replace(image, dropped=reason), detail
        answer.append(image)
    return answer, details


def final_ratings(images: Iterable[Image], tagged: Mapping[str, str]) -> dict[str, str]:
    """By image id the file's own rating, else the tagger's (`tagged`), in the words of LEVELS; whom nobody rated is not
    in it."""
    found = ((image.id, rating_of(image.tags) or tagged.get(image.id, "")) for image in images)
    return {image_id: spelt_out(rating) for image_id, rating in found if rating}
