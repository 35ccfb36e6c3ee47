"""Names that imported datasets gave, put on the people whom our own networks found in the imported pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fullcast.records import UNKNOWN, Cast, Drop, Person

STAGE = "import"


@dataclass(frozen=True)
class Named:
    """The people of a show after the names that datasets gave."""

    people: list[Person]
    drops: list[Drop]


def with_given_names(people: Sequence[Person], given: Sequence[Person], cast: Cast) -> Named:
    """The same people, named as the datasets name them where they are in an imported picture.

    given: `imported_people`. A figure takes the name of the head that the dataset puts where its own is; a figure that
    only the dataset sees is added, without the dataset's embedding, which another network made; a name without a place
    is given when one figure is left for it.
    What finds nobody is a drop: ``not-in-cast`` or ``name-without-place``. So is a look that the cast lacks,
    ``form-not-in-cast``: `_look` says what stands for it.
    """
    known = {character.name: {form.name for form in character.forms} for character in cast.characters}
    of_image: dict[str, list[Person]] = {}
    for person in given:
        of_image.setdefault(person.image_id, []).append(person)
    answer, drops = [person for person in people if person.image_id not in of_image], []
    found: dict[str, list[Person]] = {image_id: [] for image_id in of_image}
    for person in people:
        if person.image_id in found:
            found[person.image_id].append(person)
    for image_id, said in of_image.items():
        strangers = [p for p in said if p.character not in known and p.character not in ("", UNKNOWN)]
        drops += [Drop(image_id, STAGE, "not-in-cast", p.name) for p in strangers]
        named = [p for p in said if p.character in known]
        drops += [
            Drop(image_id, STAGE, "form-not-in-cast", p.name)
            for p in named
            if known[p.character].isdisjoint(_ways_to_say(p.form))
        ]
        figures, left = _placed(found[image_id], [p for p in named if p.confidence > 0], cast)
        figures, lost = _unplaced(figures, left, [p for p in named if p.confidence == 0], cast)
        answer += sorted(figures, key=lambda p: p.place_xy)
        drops += [Drop(image_id, STAGE, "name-without-place", p.name) for p in lost]
    return Named(answer, drops)


def _placed(figures: Sequence[Person], named: Sequence[Person], cast: Cast) -> tuple[list[Person], set[str]]:
    """Figures with the names of those at their place, and the ids of figures that nobody named."""
    figures = list(figures)
    pairs = sorted(
        ((_nearness(f, n), i, j) for i, f in enumerate(figures) for j, n in enumerate(named)),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    taken: dict[int, int] = {}
    for nearness, i, j in pairs:
        if nearness > 0 and i not in taken and j not in taken.values():
            taken[i] = j
    renamed = [
        _called(figure, named[taken[i]], cast) if i in taken else _not_twice(figure, named)
        for i, figure in enumerate(figures)
    ]
    added = [replace(_called(n, n, cast), embedding=None) for j, n in enumerate(named) if j not in taken.values()]
    return [*renamed, *added], {f.id for i, f in enumerate(figures) if i not in taken}


def _unplaced(
    figures: Sequence[Person], left: set[str], named: Sequence[Person], cast: Cast
) -> tuple[list[Person], list[Person]]:
    """One name and one figure that nobody named: they belong together. Names that are there already are content."""
    present = {p.character for p in figures}
    open_names = [n for n in named if n.character not in present]
    open_figures = [p for p in figures if p.id in left and (len(left) == 1 or p.character in ("", UNKNOWN))]
    if len(open_names) == 1 and len(open_figures) == 1:
        name, figure = open_names[0], open_figures[0]
        return [_called(p, name, cast) if p.id == figure.id else p for p in figures], []
    return list(figures), open_names


def _not_twice(figure: Person, named: Sequence[Person]) -> Person:
    """Whom the dataset names elsewhere in the picture cannot stand here too."""
    taken = any(figure.character == name.character for name in named)
    return replace(figure, character=UNKNOWN, form="") if taken else figure


def _called(figure: Person, name: Person, cast: Cast) -> Person:
    return replace(figure, character=name.character, form=_look(figure, name, cast))


def _look(figure: Person, name: Person, cast: Cast) -> str:
    """The look that the dataset says ("hairdown, uniform" may be called "hairdown uniform"). Of one that the cast lacks
    the first part that it has, else the plain look; where there is none, the one that our networks saw, at last the
    cast's first."""
    forms = [form.name for form in cast.character(name.character).forms]
    seen = [figure.form] if figure.character == name.character else []
    said = _ways_to_say(name.form)
    return next(form for form in (*said, *name.form.split(", "), "", *seen, *forms) if form in forms)


def _ways_to_say(form: str) -> tuple[str, str]:
    """As a dataset joins its parts, and as folders of references do."""
    return form, form.replace(", ", " ")


def _nearness(figure: Person, name: Person) -> float:
    """In [0, 1]: overlap of heads over the smaller one (a face lies inside a head); of figures where a head lacks."""
    a, b = figure.head_xyxy or figure.xyxy, name.head_xyxy or name.xyxy
    if (figure.head_xyxy is None) != (name.head_xyxy is None):
        a, b = figure.xyxy, name.xyxy
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    inside = max(0.0, width) * max(0.0, height) / smaller if smaller > 0 else 0.0
    return inside if inside >= 0.5 else 0.0
