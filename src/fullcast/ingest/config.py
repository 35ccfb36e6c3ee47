"""What the user may choose about room 1. Imports neither av nor torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Rating = Literal["general", "sensitive", "questionable", "explicit"]


class FilterConfig(BaseModel):
    """Which pictures are not used, each with its reason in the drops; ``review keep`` overrules all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rating: Rating = Field(
        "sensitive",
        description="Pictures rated above this are dropped as rating. sensitive is the highest of what boards called "
        "safe while they had three ratings. The file's own rating counts; where it has none, the tagger's.",
    )
    sources: tuple[Literal["fanart", "regularization", "screenshots"], ...] = Field(
        ("fanart", "regularization"),
        description="Whose pictures are asked for colour, detail, class and quality. Frames of a show are not by "
        "default: a flashback in grey and a soft background belong to it.",
    )
    monochrome: bool = Field(
        True, description="Drop pictures without colours of their own (grey, sepia, one ink) as monochrome."
    )
    min_detail: float = Field(
        0.68,
        ge=0,
        le=1,
        description="Finest detail (1 to 2 px) over that of twice the size; below it a picture is dropped as blurred: "
        "it was enlarged or is out of focus. docs/ingest.md has what the threshold was chosen on. 0 switches it off.",
    )
    classes: tuple[str, ...] = Field(
        ("illustration", "bangumi"),
        description="Image classes that are used, where models.classifier names a network that tells them; others "
        "(comic, 3d, not_painting) are dropped as class.",
    )
    min_quality: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of all pictures that a picture must be better than, where models.aesthetic names a network; "
        "below it is dropped as quality.",
    )
    max_text: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Share of a picture's area under text, where models.text_detector names a network; above it is "
        "dropped as text: cards and credits over drawn pictures, comics. Less is written down, not dropped.",
    )
    subtitles: Literal["drop", "say", "ignore"] = Field(
        "say",
        description="Pictures with burned-in subtitles: say, their captions say subtitled, so that prompts without the "
        "word ask for none; drop, as subtitled; ignore, used as if there were none.",
    )
    targets_in_regularization: bool = Field(
        False,
        description="Use regularization pictures in which somebody of the cast was recognised. They teach the class "
        "word what the trigger word is for; off: dropped as target-in-regularization.",
    )


class IngestConfig(BaseModel):
    """Videos and pictures to images: decoding, sampling, near-duplicates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    analysis_height: int = Field(
        360,
        ge=90,
        le=1080,
        description="Height in pixels at which frames are compared. 360: a mouth of a 24 px head in 720p is still "
        "3x1.5 px; at 180 it is lost, at 720 comparing costs four times as much and finds nothing more.",
    )
    camera_iou: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="While the camera pans or zooms, a frame is kept when its view overlaps every kept view of the "
        "same drawing by less than this (intersection over union). 0.9 is also what the show's truth calls new.",
    )
    drawing_threshold: float = Field(
        80.0,
        gt=0,
        description="Luma change beyond noise, summed over 8x8 pixels at analysis height, above which two frames are "
        "different drawings. On two pocket shows (crf 22 and 27) one drawing differed from itself by at most 77, "
        "and 571 of 574 pairs of drawings by at least 87. Grows for videos of less than twice the analysis height, to "
        "2.8 times at that height itself, where compression is not averaged away (docs/ingest.md).",
    )
    noise_floor: float = Field(
        6.0,
        ge=0,
        description="Luma levels (0 to 255) of change that are always taken for compression noise; raised by itself "
        "where the whole picture is noisier.",
    )
    edge_tolerance: float = Field(
        0.35,
        ge=0,
        le=1,
        description="Share of the local contrast (3x3 range) that may change beside an edge: codecs ring there.",
    )
    subtitle_band: float = Field(
        0.28,
        ge=0,
        le=0.5,
        description="Lower share of the picture in which burned-in subtitles are looked for; changes inside their "
        "lines are not changes of the drawing. 0 switches this off.",
    )
    black_level: float = Field(
        24.0, ge=0, le=128, description="A frame whose 99th percentile of luma (0 to 255) is below this is black."
    )
    drop_text_cards: bool = Field(
        True, description="Drop title cards and credits: pictures whose edges are lines of text on a plain ground."
    )
    crop_letterbox: bool = Field(True, description="Find black bars shot by shot and cut them off.")
    deinterlace: Literal["auto", "never", "always"] = Field(
        "auto",
        description="auto: all frames when most of the first are flagged as interlaced, else those that are flagged "
        "(bwdif, one frame each).",
    )
    untagged_matrix: Literal["auto", "bt601", "bt709"] = Field(
        "auto",
        description="Colour matrix of files that do not say theirs. auto: bt709 from 720 lines up, as players do.",
    )
    buffer_mb: int = Field(
        512,
        ge=1,
        description="Memory in MB for full-size frames that wait for their shot to end; above it the shot is decided "
        "in parts. 512 holds 370 frames of 720p: fifteen seconds in which every frame is another drawing.",
    )
    duplicate_threshold: float = Field(
        45.0,
        gt=0,
        description="As drawing_threshold, between pictures of different shots, at 180 lines. On a pocket show repeats "
        "encoded at crf 22 and 27 differed by less than 10, and 390 of 396 pairs of drawings by more than 45.",
    )
    min_side: int = Field(
        64, ge=1, description="Pictures whose shorter side is below this many pixels are dropped as too-small."
    )
    licence: str = Field("", description="Licence written on every picture that does not bring its own.")
    filters: FilterConfig = FilterConfig()

    def read_by_videos(self) -> dict[str, object]:
        """What a video's frames depend on: a change of anything else leaves them as they are."""
        return self.model_dump(mode="json", exclude={"duplicate_threshold", "min_side", "licence", "filters"})

    def read_by_pictures(self) -> dict[str, object]:
        """What the pictures of a folder depend on."""
        return self.model_dump(mode="json", include={"min_side"})
