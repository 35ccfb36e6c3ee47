"""Review: what people decide about what they were shown (`doubting` says what to look at).

Everything here is plain functions
over the prepared tables and the log, so that the command line, the contact sheet and a web page share them. A decision
is written at once and taken up by the next `prepare`, which looks at no other picture anew for it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer
from fullcast.journey.deciding import HOMELESS, question_of
from fullcast.journey.doubting import Item, queue
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.records import UNKNOWN, Box, Cast, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.decisions import HAND, Action, Decision, Log, Scope, Target, append, read_log, target_of
from fullcast.store.errors import FullcastError
from fullcast.store.given import composed
from fullcast.store.tables import read_records

if TYPE_CHECKING:
    from fullcast.journey import Journey

QUEUE = "queue.json"
"""The last list that was shown, in data/show: numbers on the command line are numbers of this list."""

AT_ONCE = 60
"""Items on a contact sheet: half an hour's work, 3 MB."""


# ---------------------------------------------------------------------------------------------------- the verbs


def look(journey: Journey, limit: int = AT_ONCE, page: Path | None = None) -> Answer:
    """The first items in words, and a contact sheet of them, which can be filled in and given to `apply`."""
    from fullcast.generation.out import folder_to_write
    from fullcast.journey.sheet import write_review_page

    if limit < 1:
        raise FullcastError(f"--limit {limit}: ask for at least one item")
    path = page or journey.workspace.review_page
    folder_to_write(path.parent, path)
    ready = read_prepared(journey)
    items = queue(journey, ready)
    write_json(journey.workspace.show_dir / QUEUE, [_plain(item) for item in items])
    shown = items[:limit]
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
    later network says; of a picture, the reason for which it is not used now, or that its people are right. Raises
    FullcastError for what is not there, for names that the cast does not know and for pictures that opted out.
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
    """Somebody whom no detector saw; ``box`` and ``head`` in pixels of the picture. They are none of the figures that
    are there now, however much they overlap."""
    ready = read_prepared(journey)
    _, _, image = _resolve(picture if ":" in picture else f"picture:{picture}", ready, [], None, {})
    assert image is not None
    character, form = _look(name, ready.cast)
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height):
        raise FullcastError(f"box {box} does not lie in the picture, which is {image.width}x{image.height}")
    target = replace(target_of(image), xyxy=box, detector=HAND)
    beside = _figures_beside(target, ready, read_log(journey.workspace.review_log))
    decision = Decision("add", (target,), character=character, form=form, head_xyxy=head, beside=beside, by=by)
    return _written(journey, append(journey.workspace.review_log, [decision]))


def _figures_beside(added: Target, ready: Prepared, log: Log) -> tuple[Box, ...]:
    """Boxes of everybody else who is or was in the picture: also of figures that somebody dropped."""
    images = {image.id: image for image in ready.images}
    there = [target_of(images[p.image_id], p) for p in ready.people if p.image_id == added.image_id]
    dropped = [t for d in log.active if d.action == "drop" for t in d.targets if t.image_id == added.image_id]
    others = [t.xyxy for t in (*there, *dropped) if (t.detector, t.xyxy) != (added.detector, added.xyxy)]
    return tuple(dict.fromkeys(box for box in others if box is not None))


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
        answers = question_of(image) if action == "keep" else ""
        return [Decision(action, (target_of(image),), "picture", answers=answers, **words)]
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
    character, _, form = composed(name).partition("/")
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
    words += f" {d.answers or d.undoes}" if d.answers or d.undoes else ""
    where = f" ({d.scope}, {len(d.targets)} in {len({t.image_id for t in d.targets})} pictures)" if d.targets else ""
    return f"{d.id}  {d.time[:16]}  {d.action}{name}{words}{where}{'  ' + d.note if d.note else ''}"


def _next(journey: Journey) -> str:
    return f"It takes effect with: fullcast prepare -w {journey.workspace.root}"


__all__ = ["Item", "Log", "add", "apply_file", "decide", "look", "queue", "show_homeless", "show_log", "undo"]
