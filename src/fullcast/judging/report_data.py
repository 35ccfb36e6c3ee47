"""What the report shows, as plain records: the journey fills them, `report.write_report` draws them.

Every section may be absent: the page then says that it is, and why if `ReportData.absent` tells. Pictures are paths
relative to the folder that `write_report` is given; boxes are xyxy in pixels of the picture file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fullcast.records import Box

Tone = Literal["good", "bad", "unknown", "plain"]

SeriesKind = Literal["main", "placed", "base", "ceiling", "compared"]
"""main: the model, prompts only (its name says where the recipe plans places). placed: with places given. base: before
training. ceiling: true pictures. compared: with the first, whatever it is."""


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Label:
    """A box drawn on a picture, with a name."""

    xyxy: Box
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Badge:
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with what is said of it."""

    path: str
    caption: str = ""
    labels: tuple[Label, ...] = ()
    badges: tuple[Badge, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class CastForm:
    name: str
    """'' for the plain look."""
    trigger_word: str
    portraits: tuple[str, ...]
    num_people: int = 0
    """Figures of this look that the kept pictures hold."""


@dataclass(frozen=True, slots=True)
class CastMember:
    name: str
    trigger_word: str
    forms: tuple[CastForm, ...]
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """One bar of a funnel or one reason for dropping."""

    label: str
    count: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What prepare made of the given files."""

    facts: tuple[Fact, ...] = ()
    funnel: tuple[Counted, ...] = ()
    """From all that was given to what training may see, in order; each at most the one before."""
    drops: tuple[Counted, ...] = ()
    frames: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """One node of the mixture tree."""

    name: str
    planned: float
    """Share of all visits, in [0, 1]."""
    delivered: float = -1.0
    """What training really saw; negative: it has not run."""
    depth: int = 0
    num_samples: int = 0


@dataclass(frozen=True, slots=True)
class MixtureShown:
    shares: tuple[Share, ...] = ()
    facts: tuple[Fact, ...] = ()
    never_seen: int = 0
    """Samples that no step of the plan visits."""
    why_never: str = ""
    """Their reasons, in words."""
    looks: tuple[Counted, ...] = ()
    """Visits to samples in which each look of the cast stands; a sample of three people counts for all three."""


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrainingShown:
    loss: Curve | None = None
    probes: tuple[Curve, ...] = ()
    """Loss at one high timestep with the right, the empty and a wrong caption: learning shows as their parting."""
    facts: tuple[Fact, ...] = ()
    samples: tuple[Shown, ...] = ()
    """Pictures drawn on the way, oldest first."""


@dataclass(frozen=True, slots=True)
class Point:
    """S_N for one number of people."""

    num_people: int
    num_pictures: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Series:
    """S_N of one model in one way of asking."""

    name: str
    points: tuple[Point, ...]
    kind: SeriesKind = "main"


@dataclass(frozen=True, slots=True)
class Gallery:
    num_people: int
    pictures: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class FailureGroup:
    text: str
    count: int
    num_pictures: int
    """Pictures judged, of which ``count`` failed in this way."""
    pictures: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Exhibits:
    """What is shown of a series beside the main one; the fields are those of `ReportData`."""

    name: str
    failures: tuple[FailureGroup, ...] = ()
    count_confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    identity_confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repair:
    """A picture before and after inpainting."""

    before: Shown
    after: Shown


@dataclass(frozen=True, slots=True)
class Table:
    """Figures as text, the same on the page and in the card."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each as long as ``head``; the first column names the row."""
    note: str = ""
    """What the figures mean, and what they do not."""


@dataclass(frozen=True, slots=True)
class Command:
    purpose: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that report.html and the model card tell. `store.tables.to_plain` and `from_plain` are its JSON."""

    show: str
    made: str = ""
    """Date, for people."""
    facts: tuple[Fact, ...] = ()
    """Version, commit, machine, time of each stage: what the page's foot says."""
    cast: tuple[CastMember, ...] = ()
    material: Material | None = None
    mixture: MixtureShown | None = None
    training: TrainingShown | None = None
    galleries: tuple[Gallery, ...] = ()
    grids: tuple[Shown, ...] = ()
    repairs: tuple[Repair, ...] = ()
    success: tuple[Series, ...] = ()
    count_confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """People asked for -> people found -> pictures."""
    identity_confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Asked for -> taken for -> times. This, the counts, galleries, failures, best and worst are of the main series."""
    others: tuple[Exhibits, ...] = ()
    """The same of the other series."""
    judge: str = ""
    """A sentence: which networks judged, and how they are kept apart from those that labelled."""
    failures: tuple[FailureGroup, ...] = ()
    comparisons: tuple[Table, ...] = ()
    """Each series against the first, on the same scenes and the same noise."""
    measures: tuple[Table, ...] = ()
    """What is counted beside S_N: bleeding, places, head sizes, fidelity, memorisation, the judge's own errors."""
    progress: tuple[Curve, ...] = ()
    """S_N over the checkpoints of a training, one curve for each number of people (and for each training)."""
    best: tuple[Shown, ...] = ()
    """Right pictures in which the judge was surest, most people first."""
    worst: tuple[Shown, ...] = ()
    """Pictures with most faults."""
    commands: tuple[Command, ...] = ()
    licence: str = ""
    base_model: str = ""
    """A name, never a path; "owner/name" where it is a repository of the Hub."""
    lora_alone: bool = False
    """The checkpoint is a LoRA without the model that it was trained on."""
    cost: str = ""
    """What the training cost, in words: hours of what machine."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Section -> why it is not there: material, mixture, training, galleries, success, failures, repairs, grids."""
