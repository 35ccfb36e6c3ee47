"""What happens in a pocket show, shot by shot and frame by frame: the drawings, the camera, what is laid over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fullcast.pocket.backgrounds import FOREGROUNDS, LIGHTS, SETTINGS
from fullcast.pocket.bodies import POSES, random_outfit
from fullcast.pocket.cast import ShowCast
from fullcast.pocket.heads import EXPRESSIONS
from fullcast.pocket.scene import Drawing, Figure, Foreground, compose
from fullcast.records import Box
from fullcast.store.seeding import rng as keyed

FRAME_RATE = 24
WORLD = (1600, 900)
HEAD_PX = (24, 220)
"""Height of the smallest and largest skull in a frame."""
FRAMING = {"wide": (26, 64), "medium": (80, 150), "close": (150, 212)}
MAX_OCCLUSION = 0.4
COUNTS = (0, *[1] * 6, *[2] * 6, *[3] * 5, *[4] * 3, *[5] * 3)
ACTIONS = ("talk", "talk", "talk", "act", "act", "walk", "pan", "zoom", "still")
"""Story shots take their numbers of people from this deck, shuffled, and shots of one number their actions from that one:
drawn apart, one busy shot of two people could make half of a short show."""
FRAMING_SHARES = {0: (0.5, 0.5, 0.0), 1: (0.1, 0.3, 0.6), 2: (0.12, 0.42, 0.46)}
"""Of wide, medium and close by number of people; three and more have no room in a close shot."""
CROWD_SHARES = (0.28, 0.72, 0.0)
SUBTITLES = (
    "Wait for me!", "Look, over there.", "I did not know that you would come today.", "See you tomorrow.",
    "It is late already.", "Who told you so?", "We have to go up there before it rains.", "Really?",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: a drawing seen through a camera box, darkened by `fade`, with text or bars on it."""

    drawing: int
    """Index into ``Shot.drawings``; -1: a plain card."""
    camera: Box
    fade: float = 0.0
    """0: as drawn, 1: black."""


@dataclass(frozen=True, slots=True)
class ScriptShot:
    kind: str
    """story | opening | flashback | title | credits | black | fade: `fade` shots are story shots that end in black."""
    drawings: tuple[Drawing, ...]
    frames: tuple[Frame, ...]
    subtitle: str = ""
    letterbox: bool = False
    card: tuple[str, ...] = ()
    """Lines of a title card or of the credits."""
    key: str = ""
    """Names the drawings: shots that repeat another one carry its key."""


@dataclass(frozen=True, slots=True)
class Episode:
    number: int
    shots: tuple[ScriptShot, ...] = field(default_factory=tuple)
    crf: int = 23
    """x264's constant rate factor: compression differs from episode to episode."""

    @property
    def num_frames(self) -> int:
        return sum(len(s.frames) for s in self.shots)


def write_script(cast: ShowCast, seed: int, num_episodes: int, seconds: float) -> list[Episode]:
    """All episodes. The opening is the same in each; each has a flashback to a shot told before."""
    title = f"The Pocket Show {seed}"
    opening = _opening(cast, seed, title)
    told: list[ScriptShot] = []
    episodes: list[Episode] = []
    num_story = 0
    for number in range(1, num_episodes + 1):
        rng = keyed(seed, "episode", number)
        shots = [*opening, _card("title", (f"Episode {number}", str(rng.choice(SUBTITLES))), 40, rng)]
        budget = round(seconds * FRAME_RATE) - sum(len(s.frames) for s in shots) - 24 - 44 - 84
        story: list[ScriptShot] = []
        while sum(len(s.frames) for s in story) < budget:
            story.append(_story_shot(cast, seed, number, len(story), num_story + len(story)))
        num_story += len(story)
        story[-1] = _cut_short(story[-1], sum(len(s.frames) for s in story) - budget)
        told += story[:-1]
        flashback = replace(_cut_short(told[int(rng.integers(len(told)))], None, 44), kind="flashback", subtitle="")
        middle = len(story) // 2
        story[middle] = _fade_out(story[middle])
        black = _card("black", (), 24, rng)
        shots += [*story[: middle + 1], black, *story[middle + 1 :], flashback]
        shots.append(_card("credits", (*(m.name.title() for m in cast.members), "Drawn by Fullcast"), 84, rng))
        episodes.append(Episode(number, tuple(shots), crf=(22, 27, 24, 29)[(number - 1) % 4]))
    return episodes


def _opening(cast: ShowCast, seed: int, title: str) -> list[ScriptShot]:
    shots = []
    for index in range(3):
        rng = keyed(seed, "opening", index)
        drawing = _drawing(cast, rng, "medium", (1, 2, 4)[index])
        frames = _still_frames(40)
        shots.append(ScriptShot("opening", (drawing,), frames, key=f"opening-{index}"))
    return [*shots, _card("title", (title,), 24, keyed(seed, "opening", "card"))]


def _card(kind: str, lines: tuple[str, ...], num_frames: int, rng: np.random.Generator) -> ScriptShot:
    return ScriptShot(kind, (), tuple(Frame(-1, (0, 0, 1280, 720)) for _ in range(num_frames)), card=lines)


def _story_shot(cast: ShowCast, seed: int, episode: int, index: int, told: int) -> ScriptShot:
    """Shot `index` of an episode; `told` story shots came before it in the whole show."""
    rng = keyed(seed, "shot", f"{episode}/{index}")
    key = f"e{episode}s{index}"
    count, action = _plot(seed, told)
    framing = str(rng.choice(("wide", "medium", "close"), p=FRAMING_SHARES.get(count, CROWD_SHARES)))
    letterboxed = index == 5
    first = _drawing(cast, rng, framing, count, low=letterboxed)
    num_frames = int(rng.integers(40, 92))
    if not first.figures and action in ("talk", "act", "walk"):
        action = "pan"
    drawings, frames = globals()[f"_{action}"](rng, first, num_frames)
    subtitle = str(rng.choice(SUBTITLES)) if rng.random() < 0.4 and not letterboxed else ""
    return ScriptShot("story", drawings, frames, subtitle, letterbox=letterboxed, key=key)


def _plot(seed: int, told: int) -> tuple[int, str]:
    """Number of people and action of the story shot that `told` others came before."""
    counts = [_dealt(seed, "counts", COUNTS, k) for k in range(told + 1)]
    same = counts[:-1].count(counts[-1])
    return counts[-1], _dealt(seed, f"actions of {counts[-1]}", ACTIONS, same)


def _dealt(seed: int, purpose: str, deck: tuple, index: int) -> Any:
    """Card `index` of a deck that is shuffled anew each time it is used up."""
    turn, place = divmod(index, len(deck))
    return deck[keyed(seed, purpose, turn).permutation(len(deck))[place]]


def _drawing(cast: ShowCast, rng: np.random.Generator, framing: str, count: int, low: bool = False) -> Drawing:
    """A first drawing in which nobody is hidden by more than 40 %."""
    while True:
        figures = _figures(cast, rng, framing, count, low)
        drawing = Drawing(
            str(rng.choice(SETTINGS)),
            int(rng.integers(1000)),
            str(rng.choice(LIGHTS, p=(0.56, 0.24, 0.2))),
            float(rng.uniform(0.82, 1.12)),
            figures,
            _foregrounds(rng, framing),
            *WORLD,
        )
        if _all_seen(drawing):
            return drawing


def _figures(cast: ShowCast, rng: np.random.Generator, framing: str, count: int, low: bool) -> tuple[Figure, ...]:
    people = _who(cast, rng, count)
    low_px, high_px = FRAMING[framing]
    size = rng.uniform(low_px, high_px)
    if count:
        size = min(size, 1180 / count / 1.2)
    spread = min(1050.0, count * size * rng.uniform(1.25, 2.4))
    centre = WORLD[0] / 2 + rng.normal(0, 90)
    base = {"wide": 470, "medium": 430, "close": 470}[framing] + rng.normal(0, 40) + (30 if low else 0)
    figures = []
    for slot, (name, form, look) in enumerate(people):
        skull = round(float(np.clip(size * rng.uniform(0.84, 1.12), HEAD_PX[0], HEAD_PX[1])))
        x = centre + spread * ((slot + 0.5) / max(1, count) - 0.5) + rng.uniform(-0.12, 0.12) * skull
        figures.append(
            Figure(
                look, random_outfit(rng), str(rng.choice(EXPRESSIONS)), str(rng.choice(POSES)),
                float(round(x)), float(round(base + rng.uniform(-0.3, 0.3) * skull)), skull, name, form,
                bool(rng.random() < 0.25), int(rng.choice((-6, 0, 0, 0, 6))),
            )
        )  # fmt: skip
    return tuple(sorted(figures, key=lambda f: f.skull_px))


def _who(cast: ShowCast, rng: np.random.Generator, count: int) -> list[tuple]:
    """(name, form, look) of so many people: members by frequency, a fifth of the places for extras."""
    while True:
        picked: list[tuple] = []
        names: list[str] = []
        extras = list(rng.permutation(len(cast.extras)))
        weights = np.array([m.frequency for m in cast.members])
        order = rng.choice(len(cast.members), len(cast.members), replace=False, p=weights / weights.sum())
        for index in range(count):
            if rng.random() < 0.2:
                picked.append(("", "", cast.extras[extras[index]]))
                continue
            member = cast.members[order[index]]
            form, look = member.looks[int(rng.random() < 0.45) if len(member.looks) > 1 else 0]
            picked.append((member.name, form, look))
            names.append(member.name)
        if not any(a in names and b in names for a, b in cast.never_together):
            return [picked[i] for i in rng.permutation(count)]


def _foregrounds(rng: np.random.Generator, framing: str) -> tuple[Foreground, ...]:
    if rng.random() > 0.35:
        return ()
    kind = str(rng.choice(FOREGROUNDS))
    seed = int(rng.integers(1000))
    if kind == "pillar":
        x = int(rng.integers(200, 1300))
        return (Foreground(kind, seed, (x, 0, x + int(rng.integers(40, 100)), 900)),)
    top = int(rng.integers(640, 740))
    x = int(rng.integers(0, 700))
    return (Foreground(kind, seed, (x, top, x + int(rng.integers(500, 1200)), 900)),)


def _all_seen(drawing: Drawing) -> bool:
    composed = compose(drawing)
    for index, area in enumerate(composed.areas):
        x0, y0, x1, y1 = composed.heads[index]
        if x0 < 180 or x1 > 1420 or y0 < 100 or y1 > 800 or area == 0:
            return False
        if (composed.owner == index).sum() < (1 - MAX_OCCLUSION) * area:
            return False
        window = composed.owner[round(y0) : round(y1), round(x0) : round(x1)]
        if ((window != index) & (window != -1)).mean() > 0.3:
            return False
    return True


CENTRE: Box = (160, 90, 1440, 810)


def _still_frames(num_frames: int) -> tuple[Frame, ...]:
    return tuple(Frame(0, CENTRE) for _ in range(num_frames))


def _still(rng: np.random.Generator, first: Drawing, num_frames: int):
    return (first,), _still_frames(num_frames)


def _change(drawing: Drawing, index: int, **changes) -> Drawing:
    figures = list(drawing.figures)
    figures[index] = replace(figures[index], **changes)
    return replace(drawing, figures=tuple(figures))


def _held(rng: np.random.Generator, order: list[int], num_frames: int) -> tuple[Frame, ...]:
    """Drawings on twos and threes, as animation is photographed."""
    frames: list[Frame] = []
    position = 0
    while len(frames) < num_frames:
        frames += [Frame(order[position % len(order)], CENTRE)] * int(rng.integers(2, 4))
        position += 1
    return tuple(frames[:num_frames])


def _talk(rng: np.random.Generator, first: Drawing, num_frames: int):
    """A held shot in which only one mouth moves."""
    who = int(rng.integers(len(first.figures)))
    face = first.figures[who].expression
    mouths = [m for m in ("laugh", "surprised", "smile") if m != face][:2]
    drawings = (first, *(_change(first, who, expression=f"{face}|{m}") for m in mouths))
    return drawings, _held(rng, [0, 1, 0, 2, 1, 0, 2], num_frames)


def _act(rng: np.random.Generator, first: Drawing, num_frames: int):
    """Poses and faces change every few drawings, then hold."""
    drawings = [first]
    for _ in range(int(rng.integers(3, 6))):
        who = int(rng.integers(len(first.figures)))
        changes = {"pose": str(rng.choice(POSES)), "expression": str(rng.choice(EXPRESSIONS))}
        changed = _change(drawings[-1], who, **changes)
        if changed not in drawings and _all_seen(changed):
            drawings.append(changed)
    hold = max(3, num_frames // len(drawings))
    frames = [Frame(min(i // hold, len(drawings) - 1), CENTRE) for i in range(num_frames)]
    return tuple(drawings), tuple(frames)


def _walk(rng: np.random.Generator, first: Drawing, num_frames: int):
    """One figure crosses part of the picture on threes."""
    who = int(rng.integers(len(first.figures)))
    step = float(rng.choice((-1, 1))) * first.figures[who].skull_px * rng.uniform(0.14, 0.24)
    drawings = [first]
    for index in range(1, 12):
        bob = 4.0 if index % 2 else 0.0
        figure = first.figures[who]
        moved = _change(first, who, x=float(round(figure.x + index * step)), y=figure.y - bob)
        if not _all_seen(moved):
            break
        drawings.append(moved)
    frames = [Frame(min(i // 3, len(drawings) - 1), CENTRE) for i in range(num_frames)]
    return tuple(drawings), tuple(frames)


def _pan(rng: np.random.Generator, first: Drawing, num_frames: int):
    start, end = ((0, 90), (320, 90)) if rng.random() < 0.5 else ((320, 60), (20, 140))
    if rng.random() < 0.4:
        start, end = (160, 10), (160, 175)
    frames = []
    for i in range(num_frames):
        t = i / (num_frames - 1)
        x, y = (a + (b - a) * t for a, b in zip(start, end, strict=True))
        frames.append(Frame(0, (round(x), round(y), round(x) + 1280, round(y) + 720)))
    return (first,), tuple(frames)


def _zoom(rng: np.random.Generator, first: Drawing, num_frames: int):
    widest, closest = 1.25, 0.82
    frames = []
    for i in range(num_frames):
        t = i / (num_frames - 1)
        scale = widest + (closest - widest) * t
        w, h = round(1280 * scale), round(720 * scale)
        x, y = (WORLD[0] - w) // 2, (WORLD[1] - h) // 2
        frames.append(Frame(0, (x, y, x + w, y + h)))
    return (first,), tuple(frames)


def _cut_short(shot: ScriptShot, drop: int | None, keep: int = 0) -> ScriptShot:
    length = keep if drop is None else max(8, len(shot.frames) - drop)
    return replace(shot, frames=shot.frames[:length])


def _fade_out(shot: ScriptShot, length: int = 14) -> ScriptShot:
    frames = list(shot.frames)
    for i in range(length):
        at = len(frames) - length + i
        frames[at] = replace(frames[at], fade=(i + 1) / length)
    return replace(shot, frames=tuple(frames))
