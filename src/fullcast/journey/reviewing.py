"""Review: what a person should look at, most doubtful first, and what they decide about it.

A track is one item: it carries one name, and one word settles all of its frames. Everything here is plain functions
over the prepared tables and the log, so that the command line, the contact sheet and a web page share them. A decision
is written at once and taken up by the next `prepare`, which computes no pixel anew for it.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fullcast.journey.answers import Answer
from fullcast.journey.deciding import HOMELESS, decide_people, decided_ids
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.wording import read_about_captions
from fullcast.records import UNKNOWN, Box, Cast, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.decisions import HAND, Action, Decision, Log, Scope, Target, append, read_log, target_of
from fullcast.store.errors import FullcastError
from fullcast.store.tables import read_records

if TYPE_CHECKING:
    from fullcast.captions.count import CountCheck
    from fullcast.journey import Journey

QUEUE = "queue.json"
"""The last list that was shown, in data/show: numbers on the command line are numbers of this list."""

TWICE = 0.9
"""Doubt of a picture that shows one character twice: nearly always one of the two is somebody else."""

HEADLESS = 0.2
"""Doubt of a figure whose head was not seen: nobody could be asked, and a cast member from behind is no stranger."""

AT_ONCE = 60
"""Items on a contact sheet: half an hour's work, 3 MB."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to look at."""

    number: int
    scope: Literal["track", "person", "picture"]
    ref: str
    """``track:ID``, a person's id, or ``picture:ID``: what the verbs take as well as the number."""
    doubt: float
    """Chance that it is wrong, in [0, 1]: calibrated for names, a rule of thumb for the rest."""
    reason: str
    name: str
    """As it stands now."""
    people: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------- what to look at


def queue(journey: Journey, ready: Prepared | None = None) -> list[Item]:
    """Everything that is in use and that nobody has looked at yet, most doubtful first."""
    ready = ready or read_prepared(journey)
    log = read_log(journey.workspace.review_log)
    looked_at = decided_ids(decide_people(ready.people, ready.images, ready.cast, log))
    counts, _ = read_about_captions(journey.workspace)
    threshold = journey.recipe.people.threshold
    return rank(ready, counts, looked_at, ready.cast.threshold if threshold is None else threshold)


def rank(
    ready: Prepared, counts: Iterable[CountCheck], looked_at: Iterable[str], threshold: float | None = None
) -> list[Item]:
    """The same of given tables; ``looked_at``: ids of people and pictures that are no question any more."""
    looked_at = frozenset(looked_at)
    threshold = ready.cast.threshold if threshold is None else threshold
    used = {image.id: image for image in ready.images if not image.dropped}
    people = [p for p in ready.people if p.image_id in used]
    items = [
        *_figures([p for p in people if p.id not in looked_at], ready.cast, threshold),
        *_twice([p for p in people if p.image_id not in looked_at]),
        *_counts((c for c in counts if c.image_id in used and c.image_id not in looked_at), used),
    ]
    items.sort(key=lambda item: (-item.doubt, item.ref))
    return [replace(item, number=number) for number, item in enumerate(items, 1)]


def doubt_of(person: Person, cast: Cast, threshold: float) -> tuple[float, str]:
    """(chance that the name is wrong, why): the odds of the calibration, at the nearest border of another answer."""
    if person.head_xyxy is None or (person.identity_score == 0 and person.character == UNKNOWN):
        return HEADLESS, "its head was not seen, or is too small: nobody was asked"
    over = person.identity_score - threshold
    if person.character == UNKNOWN:
        return _chance(-over, cast), f"unknown, {-over:+.2f} under the threshold"
    if over < person.identity_margin:
        return _chance(over, cast), f"{over:+.2f} over the threshold"
    return _chance(person.identity_margin, cast), f"{person.identity_margin:+.2f} before the next character"


def form_gaps(people: Iterable[Person], cast: Cast) -> dict[str, float]:
    """Person id -> cosine of its form less that of the nearest other form of the character, where there are several."""
    from fullcast.recognition.identify import Gallery

    several = {c.name for c in cast.characters if len(c.forms) > 1}
    asked = [p for p in people if p.character in several and p.embedding is not None]
    if not asked or any(form.references is None for c in cast.characters for form in c.forms):
        return {}
    gallery = Gallery.of(cast)
    scores = gallery.form_scores(np.stack([p.embedding for p in asked if p.embedding is not None]))
    gaps = {}
    for person, row in zip(asked, scores, strict=True):
        own = [
            (gallery.forms[f][1], row[f])
            for f in range(len(row))
            if gallery.names[gallery.forms[f][0]] == person.character
        ]
        mine = max(score for form, score in own if form == person.form)
        gaps[person.id] = float(mine - max(score for form, score in own if form != person.form))
    return gaps


def _chance(distance: float, cast: Cast) -> float:
    return 1 / (1 + math.exp(min(50.0, max(-50.0, cast.naming.slope * distance))))


def _figures(people: Sequence[Person], cast: Cast, threshold: float) -> list[Item]:
    """One item for each track, and for each figure without one."""
    groups: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        groups[f"track:{person.track_id}" if person.track_id else person.id].append(person)
    items = []
    gaps = form_gaps(people, cast)
    for ref, group in groups.items():
        asked = [_of_name_or_form(person, cast, threshold, gaps) for person in group]
        known = [pair for pair in asked if pair[0] != HEADLESS] or asked
        name, why = sum(doubt for doubt, _ in known) / len(known), max(known)[1]
        # Detectors understate themselves: on a pocket show 5 % of boxes at confidence 0.5 to 0.7 were nobody, 1.5 %
        # above; squared, 1 - confidence says 16 % and 2 %.
        seen = (1 - min(1.0, max(person.confidence for person in group))) ** 2
        doubt, reason = max((name, why), (seen, "a weak detection: is it a person?"))
        order = sorted(group, key=lambda p: -_of_name_or_form(p, cast, threshold, gaps)[0])
        scope: Literal["track", "person"] = "track" if ref.startswith("track:") else "person"
        ids = tuple(p.id for p in order)
        items.append(
            Item(0, scope, ref, round(doubt, 4), reason, order[0].name, ids, _unique(p.image_id for p in order))
        )
    return items


def _of_name_or_form(person: Person, cast: Cast, threshold: float, gaps: Mapping[str, float]) -> tuple[float, str]:
    doubt = doubt_of(person, cast, threshold)
    if person.id not in gaps:
        return doubt
    return max(doubt, (_chance(gaps[person.id], cast), f"{gaps[person.id]:+.2f} before the other look"))


def _twice(people: Sequence[Person]) -> list[Item]:
    """Pictures with a character in two figures; a character's other form counts as the same one."""
    seen: dict[tuple[str, str], list[Person]] = defaultdict(list)
    for person in people:
        if person.character not in ("", UNKNOWN):
            seen[person.image_id, person.character].append(person)
    return [
        Item(0, "picture", f"picture:{image_id}", TWICE, f"{who} is here {len(group)} times", who,
             tuple(p.id for p in group), (image_id,))
        for (image_id, who), group in seen.items()
        if len(group) > 1
    ]  # fmt: skip


def _counts(checks: Iterable[CountCheck], images: Mapping[str, Image]) -> list[Item]:
    """Drawings of one shot miscount alike: after the first each is half as urgent as the one before."""
    from fullcast.captions.count import disagreement

    items = []
    alike: dict[tuple[str, int, int], int] = defaultdict(int)
    for check in sorted(checks, key=lambda c: (-disagreement(c), c.image_id)):
        doubt = disagreement(check)
        if doubt:
            case = images[check.image_id].shot_id or check.image_id, check.people, check.low
            doubt *= 0.5 ** alike[case]
            alike[case] += 1
            said = f"{check.low} or more" if check.high < 0 else f"{check.low}"
            reason = f"{check.people} people found, the tags say {said}: {', '.join(check.tags)}"
            ref = f"picture:{check.image_id}"
            items.append(
                Item(0, "picture", ref, round(doubt, 4), reason, f"{check.people} people", (), (check.image_id,))
            )
    return items


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


# ---------------------------------------------------------------------------------------------------- the verbs


def look(journey: Journey, limit: int = AT_ONCE, page: Path | None = None) -> Answer:
    """The first items in words, and a contact sheet of them, which can be filled in and given to `apply`."""
    from fullcast.journey.sheet import write_review_page

    ready = read_prepared(journey)
    items = queue(journey, ready)
    write_json(journey.workspace.show_dir / QUEUE, [_plain(item) for item in items])
    shown = items[:limit]
    path = page or journey.workspace.review_page
    write_review_page(path, journey.workspace, ready, shown, len(items))
    lines = [f"{item.number:4d}  {item.doubt:.2f}  {item.name}: {item.reason}  [{item.ref}]" for item in shown[:20]]
    doubtful = sum(item.doubt >= 0.1 for item in items)
    lines.append(f"{len(items)} tracks, figures and pictures; {doubtful} are doubtful (0.1 or more).")
    lines.append(f"Look at them: {path}; then fullcast review apply FILE, or: fullcast review relabel 1 --name NAME")
    return Answer("\n".join(lines), {"page": str(path), "items": [_plain(item) for item in shown], "total": len(items)})


def decide(
    journey: Journey,
    action: Action,
    refs: Sequence[str],
    *,
    name: str = "",
    scope: Scope | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    caption: str = "",
    note: str = "",
    by: str = "",
) -> Answer:
    """Write one decision for each of ``refs``: numbers of the last list, ids of people (their beginning is enough),
    ``track:ID``, ``cluster:NAME`` or ``picture:ID``. ``scope`` person: of a track the one figure alone.

    Several refs with scope cluster are one decision. ``keep`` writes down the present name, so that it stays whatever a
    later network says. Raises FullcastError for what is not there and for names that the cast does not know.
    """
    ready = read_prepared(journey)
    character, form = _look(name, ready.cast) if name else ("", "")
    if action == "relabel" and not name:
        raise FullcastError(f"relabel wants a name: --name {'/'.join(ready.cast.names[:1])}, or --name {UNKNOWN}")
    items, clusters = _last_queue(journey), _clusters(journey)
    found = [_resolve(ref, ready, items, scope, clusters) for ref in refs]
    if not found:
        raise FullcastError("nothing was named; give numbers of `fullcast review`, or ids")
    words = {"add_tags": _tags(add_tags), "remove_tags": _tags(remove_tags), "caption": caption, "note": note, "by": by}
    decisions = []
    for kind, people, image in found:
        if caption and image is None:
            raise FullcastError("a caption is of a whole picture: give picture:ID")
        if action == "relabel" and image is not None:
            raise FullcastError("a picture has no name; give the figure in it: its id, or its track")
        targets = [target_of(ready_image, person) for ready_image, person in people]
        decisions += _for_names(action, kind, targets, people, image, character, form, words)
    if scope == "cluster":
        decisions = _joined(decisions)
    written = append(journey.workspace.review_log, decisions)
    return _written(journey, written)


def add(journey: Journey, picture: str, box: Box, name: str, head: Box | None = None, *, by: str = "") -> Answer:
    """Somebody whom no detector saw; ``box`` and ``head`` in pixels of the picture."""
    ready = read_prepared(journey)
    _, _, image = _resolve(picture if ":" in picture else f"picture:{picture}", ready, [], None, {})
    assert image is not None
    character, form = _look(name, ready.cast)
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height):
        raise FullcastError(f"box {box} does not lie in the picture, which is {image.width}x{image.height}")
    target = replace(target_of(image), xyxy=box, detector=HAND)
    decision = Decision("add", (target,), character=character, form=form, head_xyxy=head, by=by)
    return _written(journey, append(journey.workspace.review_log, [decision]))


def undo(journey: Journey, decision_id: str = "", by: str = "") -> Answer:
    """Take back the decision whose id begins so; the last that counts when none is given. An undo can be undone."""
    log = read_log(journey.workspace.review_log)
    if not decision_id and not log.active:
        raise FullcastError("there is no decision to take back")
    chosen = log.find(decision_id) if decision_id else log.active[-1]
    append(journey.workspace.review_log, [Decision("undo", undoes=chosen.id, by=by)])
    return Answer(f"taken back: {_line(chosen)}\n{_next(journey)}", {"undone": chosen.id})


def apply_file(journey: Journey, path: Path, by: str = "") -> Answer:
    """Write what somebody decided on a contact sheet: the file that its button saves."""
    from pydantic import TypeAdapter, ValidationError

    cast = read_prepared(journey).cast
    try:
        decisions = TypeAdapter(list[Decision]).validate_json(path.read_bytes())
    except OSError as error:
        raise FullcastError(f"{path} cannot be read ({error.strerror}); give the file that the page saved") from None
    except ValidationError as error:
        raise FullcastError(f"{path} is no list of decisions: {error.errors()[0]['msg']}") from None
    for decision in decisions:
        if decision.character:
            _look("/".join(w for w in (decision.character, decision.form) if w), cast)
    fresh = [replace(decision, by=decision.by or by) for decision in decisions]
    return _written(journey, append(journey.workspace.review_log, fresh))


def show_log(journey: Journey) -> Answer:
    """Every entry, oldest first; what was taken back is marked."""
    log = read_log(journey.workspace.review_log)
    counts = {decision.id for decision in log.active}
    lines = [f"{'  ' if d.id in counts or d.action == 'undo' else '- '}{_line(d)}" for d in log.decisions]
    lines += [f"unreadable: {why}" for why in log.damaged]
    return Answer("\n".join(lines) or "nobody has decided anything yet", {"entries": len(log.decisions)})


def show_homeless(journey: Journey) -> Answer:
    """Decisions that find nobody any more, as the last `prepare` listed them."""
    path = journey.workspace.show_dir / HOMELESS
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"homeless": []}
    lines = [
        f"{r['decision']}  {r['action']} {r['name']}  {r['picture']} {r['box']}: {r['reason']}"
        for r in data["homeless"]
    ]
    return Answer("\n".join(lines) or "every decision has found its figure", data)


# ------------------------------------------------------------------------------------------------------ its parts

_Found = tuple[Scope, list[tuple[Image, Person]], Image | None]


def _resolve(
    ref: str,
    ready: Prepared,
    items: Sequence[Mapping[str, Any]],
    scope: Scope | None,
    clusters: Mapping[str, Sequence[str]],
) -> _Found:
    """What a reference points at: figures with their images, or a whole picture."""
    if ref.lstrip("#").isdigit() and len(ref) < 7:
        number = int(ref.lstrip("#"))
        if not 1 <= number <= len(items):
            raise FullcastError(f"the last list has no item {number}; run fullcast review to make a list")
        ref = (
            items[number - 1]["people"][0]
            if scope == "person" and items[number - 1]["people"]
            else items[number - 1]["ref"]
        )
    images = {image.id: image for image in ready.images}
    kind, _, rest = ref.partition(":")
    if kind == "picture":
        return "picture", [], images[_only([i for i in images if rest and i.startswith(rest)], ref, "picture")]
    if kind == "track":
        group = [p for p in ready.people if p.track_id == rest and p.image_id in images]
        if not group:
            raise FullcastError(f"no figure belongs to {ref}; tracks are told by: fullcast review --json")
        return "track", [(images[p.image_id], p) for p in group], None
    people = {p.id: p for p in ready.people}
    if kind == "cluster":
        members = [people[who] for who in clusters.get(rest, ()) if who in people and people[who].image_id in images]
        if not members:
            raise FullcastError(f"there is no {ref}; see: fullcast cast cluster")
        return "cluster", [(images[p.image_id], p) for p in members], None
    person = people[_only([ref] if ref in people else [i for i in people if ref and i.startswith(ref)], ref, "figure")]
    if scope == "track" and person.track_id:
        return _resolve(f"track:{person.track_id}", ready, items, None, clusters)
    return "person", [(images[person.image_id], person)], None


def _only(found: Sequence[str], ref: str, what: str) -> str:
    if len(found) != 1:
        raise FullcastError(f"{len(found) or 'no'} {what}s have an id that begins with {ref!r}; see: fullcast review")
    return found[0]


def _for_names(
    action: Action,
    scope: Scope,
    targets: Sequence[Target],
    people: Sequence[tuple[Image, Person]],
    image: Image | None,
    character: str,
    form: str,
    words: Mapping[str, Any],
) -> list[Decision]:
    """One decision; for ``keep`` one for each name that the figures have now."""
    if image is not None:
        return [Decision(action, (target_of(image),), "picture", **words)]
    if action != "keep":
        return [Decision(action, tuple(targets), scope, character, form, **words)]
    by_name: dict[tuple[str, str], list[Target]] = defaultdict(list)
    for target, (_, person) in zip(targets, people, strict=True):
        by_name[person.character or UNKNOWN, person.form].append(target)
    return [Decision("keep", tuple(group), scope, *name, **words) for name, group in by_name.items()]


def _joined(decisions: Sequence[Decision]) -> list[Decision]:
    """Decisions that say the same of several tracks, as one about a cluster."""
    groups: dict[tuple[str, str, str], list[Decision]] = defaultdict(list)
    for decision in decisions:
        groups[decision.action, decision.character, decision.form].append(decision)
    return [replace(g[0], targets=tuple(t for d in g for t in d.targets), scope="cluster") for g in groups.values()]


def _look(name: str, cast: Cast) -> tuple[str, str]:
    """(character, form) of "aoi/hairdown", checked against the cast."""
    character, _, form = name.partition("/")
    if character == UNKNOWN:
        return UNKNOWN, ""
    try:
        cast.character(character).form(form)
    except ValueError as error:
        raise FullcastError(f"{error}; or say {UNKNOWN}") from None
    return character, form


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(" ".join(tag.replace("_", " ").lower().split()) for tag in tags if tag.strip())


def _last_queue(journey: Journey) -> list[dict[str, Any]]:
    path = journey.workspace.show_dir / QUEUE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _clusters(journey: Journey) -> dict[str, list[str]]:
    """Cluster -> ids of its people, as `fullcast cast cluster` proposed them last."""
    from fullcast.people.clusters import ClusterRow

    path = journey.workspace.show_dir / "clusters.parquet"
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_records(path, ClusterRow) if path.exists() else ():
        found[str(row.cluster)].append(row.person_id)
    return dict(found)


def _plain(item: Item) -> dict[str, Any]:
    return {name: getattr(item, name) for name in Item.__slots__}


def _written(journey: Journey, decisions: Sequence[Decision]) -> Answer:
    lines = [_line(decision) for decision in decisions]
    return Answer("\n".join([*lines, _next(journey)]), {"decisions": [decision.id for decision in decisions]})


def _line(d: Decision) -> str:
    name = f" {d.character}{'/' + d.form if d.form else ''}" if d.character else ""
    words = f" +{', '.join(d.add_tags)}" if d.add_tags else ""
    words += f" -{', '.join(d.remove_tags)}" if d.remove_tags else ""
    words += f" {d.undoes}" if d.undoes else ""
    where = f" ({d.scope}, {len(d.targets)} in {len({t.image_id for t in d.targets})} pictures)" if d.targets else ""
    return f"{d.id}  {d.time[:16]}  {d.action}{name}{words}{where}{'  ' + d.note if d.note else ''}"


def _next(journey: Journey) -> str:
    return f"It takes effect with: fullcast prepare -w {journey.workspace.root}"


__all__ = ["Item", "Log", "add", "apply_file", "decide", "doubt_of", "look", "queue", "rank", "show_homeless",
           "show_log", "undo"]  # fmt: skip
