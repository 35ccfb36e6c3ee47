"""What the user may choose about room 2. Imports neither torch nor onnxruntime."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PeopleConfig(BaseModel):
    """Pictures to people with names: detection, tracks inside a shot, identities over the cast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="A box below this confidence is not looked at. Not set: what the detector's own file states, which "
        "its makers chose on more pictures than a show has.",
    )
    iou: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Of two boxes of one kind that overlap more than this, the weaker goes. 0.5: two people side by "
        "side seldom share half of their boxes, two boxes of one person nearly always do.",
    )
    lone_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A head without a body, or a body without a head, needs this confidence: nothing else witnesses it.",
    )
    min_head_px: float = Field(
        14.0,
        ge=0,
        description="A head whose longer side is shorter is kept and counted, but nobody is named by it: at 14 px the "
        "eyes are one pixel.",
    )
    threshold: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Cosine below which a figure is unknown. Not set: the cast's own, calibrated on its references.",
    )
    track_similarity: float = Field(
        0.6,
        ge=-1,
        le=1,
        description="Two figures of one shot are the same person from this cosine on, wherever they stand. 0.6: above "
        "what different characters of a cast reach, below one character's frame to frame.",
    )
    track_overlap: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Figures whose heads overlap by this much (IoU) from one kept frame to the next may differ in "
        "appearance by `track_slack`: a turned head in its old place is still the same head.",
    )
    track_slack: float = Field(
        0.2,
        ge=0,
        le=1,
        description="How much cosine an overlapping head may lack: 0.2 is a turn of the head or a hand.",
    )
    track_gap_s: float = Field(
        20.0,
        ge=0,
        description="A track waits this long (seconds) for its person to come back within the shot; longer shots with "
        "longer absences start a new one, and identification joins them again by name.",
    )
    batch: int = Field(8, ge=1, description="Pictures held and looked at together; 8 of 1280x720 are 22 MB.")
