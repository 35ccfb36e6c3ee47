"""The nouns of Fullcast: small frozen records that flow from room to room.

No torch, no paths outside the workspace, no behaviour that needs a network. Everything that says who is where in a
picture is a `Person`; counts, captions, weights, masks and verdicts are derived from people and from nothing else.

Conventions
-----------
* boxes are ``xyxy`` in pixels, origin top left, x right, y down, right and bottom edges exclusive, floats allowed;
* pictures are ``(height, width, 3)`` uint8 RGB arrays wherever an array is meant;
* paths are POSIX strings relative to the workspace, so that a workspace can be moved;
* times end in ``_s`` and are seconds; ``pts`` counts ticks of ``time_base`` (a fraction as text, "1/12288").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Box = tuple[float, float, float, float]
"""xyxy in pixels of the picture that the record belongs to."""

Source = Literal["screenshots", "fanart", "regularization", "reference", "crop", "composite"]

UNKNOWN = "unknown"
"""The name of everybody who is not in the cast: a real answer, not a failure."""

GRID = 5
"""Places are cells of a 5x5 grid, as in the seed model's captions and in NovelAI's character positions."""


@dataclass(frozen=True, slots=True)
class Video:
    """One source file that holds moving pictures."""

    id: str
    """First 20 hex digits of the file's sha256."""
    path: str
    width: int
    height: int
    frame_rate: float
    """Average frames per second; single frames are addressed by pts, never by this."""
    num_frames: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Shot:
    """A span between two cuts."""

    id: str
    """``{video_id}:{index:04d}``."""
    video_id: str
    index: int
    start_s: float
    end_s: float
    """Exclusive."""
    kind: str = "story"
    """story | opening | credits | title | black | fade | repeat: what the frames of the shot are, as ingest saw it."""


@dataclass(frozen=True, slots=True)
class Image:
    """One picture of any kind; a frame is an Image with video, shot and time."""

    id: str
    """First 20 hex digits of the sha256 of the stored file."""
    path: str
    width: int
    height: int
    source: Source
    parent: str = ""
    """Id of the Image this one was cut or composed from."""
    video_id: str = ""
    shot_id: str = ""
    pts: int = -1
    time_base: str = ""
    time_s: float = -1.0
    sharpness: float = 0.0
    """Mean absolute Laplacian of the luma, 0 to 255; comparable inside one shot only."""
    tags: tuple[str, ...] = ()
    """Words that came with the file (booru tags), not those that a network gave; ``subtitled``, which ingest saw."""
    artist: str = ""
    licence: str = ""
    url: str = ""
    """Where the picture was published, as the file beside it says."""
    dropped: str = ""
    """Why the picture is not used; empty: it is. A dropped picture stays in its table."""
    crop: str = ""
    """head | halfbody | person | face: the part of ``parent``, or of a picture nobody has, that it shows; '': all."""
    frame_xyxy: Box | None = None
    """Which part of the video's frame the picture shows when black bars were cut off; None: all of it."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Something that was given and is not used: an input file, a picture, a person."""

    item: str
    stage: str
    reason: str
    """A word that can be counted, such as ``unreadable`` or ``near-duplicate``."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """One figure in one Image: the unit from which all else is derived."""

    id: str
    """``{image_id}/{x0}-{y0}-{x1}-{y1}`` of the first box seen; kept when the box is refined."""
    image_id: str
    xyxy: Box
    confidence: float
    head_xyxy: Box | None = None
    head_confidence: float = 0.0
    detector: str = ""
    track_id: str = ""
    """People of one shot that are one figure share it; empty: no track."""
    character: str = ""
    """Name in the cast, ``unknown``, or empty while nobody has asked."""
    form: str = ""
    identity_score: float = 0.0
    """Similarity to the nearest character, cosine in [-1, 1]."""
    identity_margin: float = 0.0
    """identity_score minus that of the second character."""
    marks: tuple[str, ...] = ()
    """What speaks against telling who it is: small | hidden | cut | headless."""
    tags: tuple[str, ...] = ()
    """Words about this figure alone (hair, expression, clothes), from a tagger on its crop."""
    embedding: np.ndarray | None = field(default=None, compare=False, repr=False)
    """(D,) float32, unit length, of the embedder named in the table's metadata."""

    @property
    def place_xy(self) -> tuple[float, float]:
        """The point that stands for the figure: centre of its head, or of the upper fifth of its box."""
        if self.head_xyxy is not None:
            x0, y0, x1, y1 = self.head_xyxy
            return (x0 + x1) / 2, (y0 + y1) / 2
        x0, y0, x1, y1 = self.xyxy
        return (x0 + x1) / 2, y0 + (y1 - y0) / 5

    def cell(self, width: float, height: float) -> tuple[int, int]:
        """(column, row) of the 5x5 grid over a picture of ``width`` x ``height`` pixels, each 0 to 4."""
        x, y = self.place_xy
        return cell_of(x / width, y / height)

    @property
    def name(self) -> str:
        """Character and form as one text, "aoi/hairdown"; what folders and tables show."""
        return f"{self.character}/{self.form}" if self.form else self.character


def cell_of(x: float, y: float) -> tuple[int, int]:
    """(column, row) of the 5x5 grid for a point given as fractions of width and height; outside is clamped."""
    return min(GRID - 1, max(0, int(x * GRID))), min(GRID - 1, max(0, int(y * GRID)))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def person_id(image_id: str, xyxy: Box) -> str:
    return f"{image_id}/" + "-".join(str(round(v)) for v in xyxy)


@dataclass(frozen=True, slots=True)
class Form:
    """One look of a character (hair down, school uniform). The plain look has the name ''."""

    name: str
    trigger_word: str = ""
    """Follows the character's trigger word in captions; '' for the plain look."""
    tags: tuple[str, ...] = ()
    """What is always true of this look: pruned from captions so that the trigger word absorbs it."""
    references: np.ndarray | None = field(default=None, compare=False, repr=False)
    """(K, D) float32 unit vectors of the reference pictures."""
    views: np.ndarray | None = field(default=None, compare=False, repr=False)
    """(K, V, D) float32 unit vectors of the same pictures small, dark, half hidden: what a classifier learns from."""


@dataclass(frozen=True, slots=True)
class Character:
    name: str
    trigger_word: str
    forms: tuple[Form, ...] = (Form(""),)
    licence: str = ""

    def form(self, name: str) -> Form:
        for form in self.forms:
            if form.name == name:
                return form
        known = ", ".join(f.name for f in self.forms if f.name) or "none but the plain look"
        raise ValueError(f"{self.name} has no form {name!r}; known forms: {known}")


@dataclass(frozen=True, slots=True)
class Naming:
    """How the people of a show are told apart, as held-out references chose it."""

    method: str = "nearest"
    """nearest: the nearest references name; classifier: one trained on the references does."""
    slope: float = 20.0
    """Natural logarithm of the odds that one more unit of cosine is worth."""
    nearest: float = float("nan")
    """Share of held-out references that the nearest references named right, form included; mean over forms."""
    classifier: float = float("nan")
    """The same for the classifier; nan: not enough references to hold some out."""
    scoring: str = ""
    """How similar somebody is to a look: top1, top3, top5, mean (of so many nearest references). Empty: whichever names
    held-out references best."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who the show knows. Written beside every checkpoint, so that a model can plan, repair and be judged alone."""

    show: str
    characters: tuple[Character, ...]
    embedder: str = ""
    """Name of the embedder that made the references; another one must not be compared with them."""
    threshold: float = 0.0
    """Cosine below which a face is ``unknown``; calibrated on the references."""
    layout: Mapping[str, float] = field(default_factory=dict)
    """Statistics of the show's own layouts (head height by number of people and so on)."""
    naming: Naming = field(default_factory=Naming, compare=False)

    def character(self, name: str) -> Character:
        for character in self.characters:
            if character.name == name:
                return character
        known = ", ".join(c.name for c in self.characters)
        raise ValueError(f"nobody in the cast is called {name!r}; the cast is: {known}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.characters)


@dataclass(frozen=True, slots=True)
class Sample:
    """An Image as the trainer may see it: a crop of it, and the people as they stand inside that crop."""

    id: str
    image_id: str
    path: str
    """The picture file that holds the pixels."""
    crop: Box
    """xyxy in pixels of the file at ``path``."""
    source: Source
    people: tuple[Person, ...] = ()
    """Boxes in pixels of the crop, left to right by place; ``unknown`` people included."""
    kind: str = "full"
    """full | group | person | head: how the crop was made. Those of one person are captioned as ``cropped``."""
    tags: tuple[str, ...] = ()
    """Words about the whole picture (setting, light, medium), not about one figure."""
    shot_id: str = ""
    rating: str = ""
    """general | sensitive | questionable | explicit, as the file says, else the tagger; '': nobody rated it."""
    quality: str = ""
    """A word such as ``masterpiece`` that came with the file; '': none did."""

    @property
    def width(self) -> float:
        return self.crop[2] - self.crop[0]

    @property
    def height(self) -> float:
        return self.crop[3] - self.crop[1]

    @property
    def num_people(self) -> int:
        return len(self.people)

    @property
    def head_height(self) -> float:
        """Largest head height over picture height, in [0, 1]; 0 without a head."""
        heads = [p.head_xyxy[3] - p.head_xyxy[1] for p in self.people if p.head_xyxy]
        return max(heads, default=0.0) / self.height


@dataclass(frozen=True, slots=True)
class Placement:
    """One character of a Scene and where it should stand."""

    character: str
    form: str = ""
    cell: tuple[int, int] | None = None
    """(column, row), 0 to 4, of the centre of the head."""
    box: Box | None = None
    """Whole figure, xyxy as fractions of the picture in [0, 1]."""
    prompt: str = ""
    negative_prompt: str = ""

    @property
    def is_named(self) -> bool:
        """Whether somebody of the cast is asked for; else anybody who is nobody of it."""
        return self.character not in ("", UNKNOWN)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is asked for: one picture's people, places and words."""

    id: str
    prompt: str
    """Words for the whole picture (setting, light); people are in ``people``."""
    people: tuple[Placement, ...] = ()
    negative_prompt: str = ""
    width: int = 0
    """Pixels; 0: the model's own size."""
    height: int = 0
    seed: int = field(default=-1, repr=False)
    """Of the first picture's noise, the next ones count up; -1: who draws says. Not told where a scene is a key."""

    @property
    def num_people(self) -> int:
        return len(self.people)

    def without_places(self) -> Scene:
        """The same request with nobody's place said."""
        return replace(self, people=tuple(replace(p, cell=None, box=None) for p in self.people))


@dataclass(frozen=True, slots=True)
class Picture:
    """What was made, with everything that is needed to make it again."""

    id: str
    path: str
    scene: Scene
    prompt: str
    """The text that went into the text encoder."""
    negative_prompt: str
    seed: int
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    checkpoint: str
    """Path in the workspace, or a local path as given."""
    checkpoint_sha256: str = ""
    parent: str = ""
    """Id of the picture that this one repairs."""


@dataclass(frozen=True, slots=True)
class Found:
    """One figure that the judge saw in a picture and whom it took it for."""

    xyxy: Box
    head_xyxy: Box | None
    confidence: float
    character: str
    form: str
    score: float
    margin: float
    asked: int = -1
    """Index into ``scene.people`` of whom it was matched to; -1: nobody."""
    scores: tuple[float, ...] = ()
    """Similarity to each character of the cast (best form), in the order of ``cast.names``; empty: the network does
    not say. The judge matches over all of them and sees figures that look like two people at once. Less what a
    classifier doubts, where one names."""
    cosines: tuple[float, ...] = ()
    """The similarities alone, where ``scores`` are not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of one picture."""

    picture_id: str
    scene_id: str
    num_asked: int
    num_found: int
    found: tuple[Found, ...]
    missing: tuple[str, ...] = ()
    """Asked for, matched to nobody."""
    extra: int = 0
    """Figures matched to nobody who was asked for."""
    duplicates: tuple[str, ...] = ()
    intruders: tuple[str, ...] = ()
    """Known characters who were not asked for."""
    unknown: int = 0
    hybrids: int = 0
    """Figures that look like two of those asked for at once."""
    success: bool = False
    """As many people as asked, each matched over the full cast, no duplicate, no intruder."""
    success_placed: bool = False
    """``success`` and everybody whose place was asked for within one column of it, in the right order."""
    width: int = 0
    """Pixels of the picture that was judged: cells are told from it."""
    height: int = 0
