"""Who of the cast is named by the class of a kohya folder: ``10_yukimura_aoi hairdown girl``.

A name, a trigger word or a form counts where its words stand side by side, whatever joins them and however they are
written: ``Yukimura Aoi``, ``yukimura_aoi`` and ``yukimura aoi, 1girl`` are one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fullcast.formats.foreign import ForeignPerson
from fullcast.records import Cast, Form
from fullcast.store.given import composed

TOKENS = "class_tokens"
"""kohya's own word for them, and their key in an import's facts."""

_WORD = re.compile(r"[^\W_]+")


def people_in_class(tokens: str, cast: Cast) -> tuple[ForeignPerson, ...]:
    """In the order of the cast, each with the look that is named most fully; nobody has a place.

    A name inside a longer one is not meant: `yukimura aoi` does not name another character who is called `aoi`.
    """
    words = _words(tokens)
    found = {c.name: list(_spans(words, (c.name, c.trigger_word))) for c in cast.characters}
    all_spans = [span for spans in found.values() for span in spans]
    return tuple(
        ForeignPerson(character.name, _form(words, character.forms))
        for character in cast.characters
        if any(not _is_inside(span, all_spans) for span in found[character.name])
    )


def _form(words: Sequence[str], forms: Iterable[Form]) -> str:
    """The name of the form of most words; '' where none is named."""
    longest, name = 0, ""
    for form in forms:
        for start, end in _spans(words, (form.name, form.trigger_word)):
            if end - start > longest:
                longest, name = end - start, form.name
    return name


def _spans(words: Sequence[str], names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """(first, past the last) of every place in `words` where one of the names stands."""
    for name in names:
        wanted = _words(name)
        for start in range(len(words) - len(wanted) + 1 if wanted else 0):
            if words[start : start + len(wanted)] == wanted:
                yield start, start + len(wanted)


def _is_inside(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end and (start, end) != span for start, end in others)


def _words(text: str) -> list[str]:
    return _WORD.findall(composed(text).casefold())
