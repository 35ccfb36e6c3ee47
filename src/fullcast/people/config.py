"""What the user may choose about room 2. Imports neither torch nor onnxruntime."""

from __future__ import annotations

from typing import Literal

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
        description="A head without a body, or a body without a head, needs this confidence: no other box confirms it.",
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
    companions: bool = Field(
        False,
        description="Whether who is often seen together tips the names of doubtful figures, by odds of at most 4.5 to "
        "1. Off: on two pocket shows of 46 shots it mended nothing, and on one it named 12 near-twins wrongly; a long "
        "show says more about its company.",
    )
    track_similarity: float = Field(
        0.6,
        ge=-1,
        le=1,
        description="Cosine from which two figures of one shot can be the same person. 0.6 is above what most "
        "characters of a cast reach with one another and below one character's from frame to frame.",
    )
    track_reach: float = Field(
        3.0,
        ge=0,
        description="How far a head may have moved between two kept frames, in head widths: drawings are held, and a "
        "cast's near-twins must not inherit each other's track across the picture.",
    )
    track_slack: float = Field(
        0.2,
        ge=0,
        le=1,
        description="How much cosine may be missing where the heads overlap by half (IoU): a turned head in its old "
        "place is still the same head.",
    )
    track_gap_s: float = Field(
        20.0,
        ge=0,
        description="A track waits this long (seconds) for its person to come back within the shot; longer shots with "
        "longer absences start a new one, and identification joins them again by name.",
    )
    cluster_similarity: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Mean cosine from which two groups of people without a name are one person. Not set: half way "
        "between what the show's tracks and its people in one picture say.",
    )
    min_cluster: int = Field(
        4, ge=1, description="A group of fewer figures is not proposed as a character: a passer-by needs no name."
    )
    crops: tuple[Literal["head", "halfbody", "person", "face"], ...] = Field(
        (),
        description="Crops written as pictures of their own, said to be cropped, their parent kept: head, halfbody "
        "(to the waist), person, face (the largest square about a face). Empty: only the mixture's own, which need no "
        "files (mixture.crops).",
    )
    crop_from_people: int = Field(
        2, ge=1, description="Crops are cut from pictures with at least this many people; alone, a picture is a crop."
    )
    crop_min_px: int = Field(
        160, ge=1, description="A crop whose shorter side is smaller is a drop, crop-too-small: it would be enlarged."
    )
    masks: bool = Field(
        False,
        description="Whether the pixels that show each figure are found and stored in data/masks, by the network or "
        "graph cut of models.segmenter. Off: no part of a training reads them by default.",
    )
    batch: int = Field(8, ge=1, description="Pictures held and looked at together; 8 of 1280x720 are 22 MB.")
