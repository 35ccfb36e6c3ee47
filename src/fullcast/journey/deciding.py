"""Where people's decisions take effect: on images before anybody is named, on names before words, on words last.

Pure functions of records and of the log; `prepare` calls them between its stages, so that names, core traits, counts,
captions and layout statistics all follow what a person said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fullcast.records import UNKNOWN, Box, Cast, Drop, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.decisions import HAND, PEOPLE, Action, Attached, Decision, Homeless, Log, Target, attach, hand_id
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

STAGE = "review"
BY_HAND = "by-hand"
"""The reason of a drop that a person asked for."""

NAMING: tuple[Action, ...] = ("relabel", "keep", "add")


@dataclass(frozen=True)
class Decided:
    """The present people as they are after what was decided, and what became of the decisions."""

    people: tuple[Person, ...]
    seen: tuple[Person, ...] = ()
    """With those who were dropped: words are made for all, so that an undo finds them ready."""
    drops: tuple[Drop, ...] = ()
    attached: Attached = field(default_factory=lambda: Attached({}, {}))
    homeless: tuple[Homeless, ...] = ()
    yielded: frozenset[str] = frozenset()
    """People who lost their name because a person gave it to somebody else in the same picture."""


def decide_images(images: Iterable[Image], log: Log) -> list[Image]:
    """Pictures dropped or kept by hand; one that was kept is used against the reason that it was kept against."""
    images = list(images)
    attached = attach((d for d in log.active if any(t.xyxy is None for t in d.targets)), images, ())
    said = attached.of_image
    return [replace(i, dropped=_reason(i.dropped, said[i.id])) if i.id in said else i for i in images]


def _reason(stages: str, said: Sequence[Decision]) -> str:
    """Why a picture is not used after what was said of it; `stages`: their reason. '' when it is used.

    Who opted out stays out. A drop counts until a later `keep` overrules it.
    """
    from fullcast.ingest.filters import OPTED_OUT

    if stages == OPTED_OUT:
        return stages
    overruled: set[str] = set()
    by_hand = False
    for decision in said:
        if decision.action == "drop":
            by_hand = True
        elif decision.action == "keep":
            overruled.add(decision.answers)
            by_hand = by_hand and decision.answers not in ("", BY_HAND)
    if by_hand:
        return BY_HAND
    return "" if {"", stages} & overruled else stages


def question_of(image: Image) -> str:
    """What a `keep` of this picture answers now: why it is not used, or whether its people are right.

    Raises FullcastError for a picture whose artist opted out.
    """
    from fullcast.ingest.filters import OPTED_OUT

    if image.dropped == OPTED_OUT:
        raise FullcastError(
            f"{image.path} stands in opt-out.txt (its artist, address or sha256), which no decision overrules; "
            "take the entry out of that file if it is wrong"
        )
    return image.dropped or PEOPLE


def decide_people(people: Iterable[Person], images: Iterable[Image], cast: Cast, log: Log) -> Decided:
    """Names, drops and additions. A track's name goes to all of the track; a name given by hand is nobody else's.

    A decision for a character or a form that the cast has no more is homeless.
    """
    people, images = list(people), list(images)
    known, strangers = _of_the_cast(log.active, cast)
    attached = attach(known, images, people)
    people += [_added(decision, target) for decision, target in attached.added]
    last = _last_words(people, attached)
    names = {who: d for who, d in last.items() if d.action != "drop" and d.character}
    yielded = _yielded(people, names)
    seen = [_renamed(person, names, yielded) for person in people]
    dropped = {who: decision for who, decision in last.items() if decision.action == "drop"}
    drops = [Drop(who, STAGE, BY_HAND, decision.note) for who, decision in dropped.items()]
    used = [person for person in seen if person.id not in dropped]
    lost = (*attached.homeless, *strangers)
    return Decided(tuple(used), tuple(seen), tuple(drops), attached, lost, yielded - dropped.keys())


def decide_tags(people: Iterable[Person], decided: Decided) -> list[Person]:
    """People with the words that somebody added, without those that were taken away."""
    of_person = decided.attached.of_person
    return [
        replace(person, tags=_edited(person.tags, of_person[person.id])) if person.id in of_person else person
        for person in people
    ]


def decide_scenes(scene_tags: Mapping[str, tuple[str, ...]], decided: Decided) -> dict[str, tuple[str, ...]]:
    """Words about whole pictures, in the same way."""
    of_image = decided.attached.of_image
    return {image_id: _edited(tags, of_image.get(image_id, ())) for image_id, tags in scene_tags.items()}


def own_captions(decided: Decided) -> dict[str, str]:
    """Captions in somebody's own words, by image id."""
    found = {}
    for image_id, decisions in decided.attached.of_image.items():
        captions = [d.caption for d in decisions if d.action == "edit" and d.caption]
        if captions:
            found[image_id] = captions[-1]
    return found


def decided_ids(decided: Decided) -> frozenset[str]:
    """People and pictures that somebody has looked at: their name, presence or count is no question any more."""
    looked: tuple[Action, ...] = (*NAMING, "drop")
    people = {who for who in decided.attached.of_person if decided.attached.last(who, *looked)}
    pictures = {which for which, said in decided.attached.of_image.items() if any(map(_settles_people, said))}
    tracks = _track_names(decided.seen, decided.attached)
    people |= {p.id for p in decided.seen if p.track_id in tracks}
    return frozenset(people | pictures | {hand_id(target) for _, target in decided.attached.added})


def _settles_people(decision: Decision) -> bool:
    """Whether somebody who said this of a picture has looked at its people."""
    return decision.action == "drop" or (decision.action == "keep" and decision.answers in ("", PEOPLE))


HOMELESS = "homeless.json"


def write_homeless(workspace: Workspace, homeless: Sequence[Homeless], damaged: Sequence[str]) -> None:
    """data/show/homeless.json: what was decided and finds nobody, and lines of the log that cannot be read."""
    rows = [
        {
            "decision": h.decision.id,
            "action": h.decision.action,
            "name": "/".join(word for word in (h.decision.character, h.decision.form) if word),
            "picture": h.target.image_id,
            "box": list(h.target.xyxy) if h.target.xyxy else None,
            "reason": h.reason,
        }
        for h in homeless
    ]
    write_json(workspace.show_dir / HOMELESS, {"homeless": rows, "damaged": list(damaged)})


# ------------------------------------------------------------------------------------------------------- names


def _of_the_cast(decisions: Iterable[Decision], cast: Cast) -> tuple[list[Decision], list[Homeless]]:
    """Decisions whose name the cast knows, and the others with the reason."""
    looks = {(c.name, f.name) for c in cast.characters for f in c.forms} | {(UNKNOWN, "")}
    known, strangers = [], []
    for decision in decisions:
        if decision.action not in NAMING or (decision.character, decision.form) in looks or not decision.character:
            known.append(decision)
            continue
        who = f"{decision.character}/{decision.form}" if decision.form else decision.character
        strangers += [Homeless(decision, t, f"nobody in the cast is {who}") for t in decision.targets]
    return known, strangers


def _last_words(people: Sequence[Person], attached: Attached) -> dict[str, Decision]:
    """Person id -> the decision that counts: its own latest one, else that of its track."""
    tracks = _track_names(people, attached)
    added = {hand_id(target): decision for decision, target in attached.added}
    last = {}
    for person in people:
        decision = attached.last(person.id, *NAMING, "drop") or added.get(person.id) or tracks.get(person.track_id)
        if decision is not None:
            last[person.id] = decision
    return last


def _track_names(people: Sequence[Person], attached: Attached) -> dict[str, Decision]:
    """Track id -> the decision that was made for the whole track, where all such decisions of it agree.

    A later tracker may join two figures: what was said of both then disagrees, and counts for its own boxes only.
    """
    said: dict[str, list[Decision]] = defaultdict(list)
    for person in people:
        decision = attached.last(person.id, *NAMING, "drop")
        if person.track_id and decision is not None and decision.scope in ("track", "cluster"):
            said[person.track_id].append(decision)
    return {
        track: max(decisions, key=lambda d: d.time)
        for track, decisions in said.items()
        if len({(d.action == "drop", d.character, d.form) for d in decisions}) == 1
    }


def _yielded(people: Sequence[Person], names: Mapping[str, Decision]) -> frozenset[str]:
    """Whoever the machine gave a name that a person gave to another figure of the same picture; all of the track."""
    by_hand: dict[str, set[str]] = defaultdict(set)
    for person in people:
        if person.id in names and names[person.id].character != UNKNOWN:
            by_hand[person.image_id].add(names[person.id].character)
    losers = [p for p in people if p.id not in names and p.character in by_hand.get(p.image_id, ())]
    tracks = {(p.track_id, p.character) for p in losers if p.track_id}
    more = {p.id for p in people if p.id not in names and (p.track_id, p.character) in tracks}
    return frozenset({p.id for p in losers} | more)


def _renamed(person: Person, names: Mapping[str, Decision], yielded: frozenset[str]) -> Person:
    if person.id in names:
        return replace(person, character=names[person.id].character, form=names[person.id].form)
    return replace(person, character=UNKNOWN, form="") if person.id in yielded else person


def _added(decision: Decision, target: Target) -> Person:
    box: Box = target.xyxy or (0.0, 0.0, 0.0, 0.0)
    return Person(
        *(hand_id(target), target.image_id, box, 1.0),
        head_xyxy=decision.head_xyxy,
        head_confidence=1.0 if decision.head_xyxy else 0.0,
        detector=HAND,
        character=decision.character or UNKNOWN,
        form=decision.form,
    )


def _edited(tags: tuple[str, ...], decisions: Sequence[Decision]) -> tuple[str, ...]:
    """In the order of the decisions; what a person added comes first, so that no limit cuts it off."""
    for decision in decisions:
        if decision.action == "edit":
            rest = [tag for tag in tags if tag not in decision.remove_tags and tag not in decision.add_tags]
            tags = (*decision.add_tags, *rest)
    return tags
