"""Settings of the mixture: shares, crops, buckets and the length of the stream. Imports neither torch nor numpy."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

NUMBER_FIELDS = {"num_people": int, "head_height": float}
"""Fields with an order: their branches may be ranges, "2-3" (both ends for whole numbers, the lower one else), "4+"."""

CsvLevel = Literal["source", "n_characters", "n_people", "character", "face_height_ratio", "folder"]

SHARE_FIELDS = (
    *("source", "kind", "rating", "quality", "num_people", "head_height", "cast"),
    *("character", "form", "name", "cell", "tag", "shot_id", "image_id"),
)
"""What a tree of shares may split by. The second row has several values in one picture: see `mixture.shares`."""

_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?)|(\+))?")


def bounds(by: str, branch: str) -> tuple[float, float]:
    """[low, high) of a branch of a field in NUMBER_FIELDS: "2" -> [2, 3), "2-3" -> [2, 4), "4+" -> [4, inf)."""
    match = _RANGE.fullmatch(branch.strip())
    if match is None:
        raise ValueError(f"{branch!r} is no branch of {by}: write a number, a range like 2-3, or 4+")
    low = float(match[1])
    if match[3]:
        return low, math.inf
    if NUMBER_FIELDS[by] is int:
        high = float(match[2] or low) + 1
    elif match[2] is None:
        raise ValueError(f"{branch!r} is no branch of {by}: write a range like 0.25-0.5, or 0.5+")
    else:
        high = float(match[2])
    if high <= low:
        raise ValueError(f"{branch!r} is no branch of {by}: it holds nothing; write the lower end first")
    return low, high


class Shares(BaseModel):
    """One node of the tree of target shares: which field it splits by and what each branch gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field(description=f"Field of a sample: {', '.join(SHARE_FIELDS)}.")
    share: dict[str, float] = Field(
        default_factory=dict,
        description="Branch -> share, in any unit: siblings are divided by their sum. 0 means never, "
        "also where a picture belongs to a sibling too (somebody who stands beside others).",
    )
    otherwise: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="Share of every branch that is found in the data and not listed above; 0: only what is listed.",
    )
    children: dict[str, Shares] = Field(
        default_factory=dict,
        description='Branch -> how it is split further; "*" is for every branch without an entry of its own.',
    )

    @field_validator("by")
    @classmethod
    def _known_field(cls, by: str) -> str:
        if by not in SHARE_FIELDS:
            raise ValueError(f"shares cannot be split by {by!r}; fields are: {', '.join(SHARE_FIELDS)}")
        return by

    @model_validator(mode="before")
    @classmethod
    def _keys_are_text(cls, values: Any) -> Any:
        """Lets Python callers write {1: 2.0} as TOML writes {1 = 2.0}."""
        if isinstance(values, dict) and isinstance(values.get("share"), dict):
            return {**values, "share": {str(k): v for k, v in values["share"].items()}}
        return values

    @model_validator(mode="after")
    def _sensible(self) -> Shares:
        for branch, share in self.share.items():
            if not (math.isfinite(share) and share >= 0):
                raise ValueError(f"the share of {self.by} {branch!r} is {share}; it must be 0 or more")
        if self.by in NUMBER_FIELDS:
            spans = sorted((*bounds(self.by, branch), branch) for branch in {*self.share, *self.children} - {"*"})
            for (_, high, one), (low, _, other) in pairwise(spans):
                if low < high:
                    raise ValueError(f"branches {one!r} and {other!r} of {self.by} overlap")
        return self


def seed_shares() -> Shares:
    """The seed's own: 0.3 / 0.2 / 0.5 by source (its model card), within the show by number of people (its default
    weighting file), then every combination of characters alike, then every look of theirs."""
    people = {"0": 0.5, "1": 1.5, "2": 1.0, "3": 0.8, "4": 0.6, "5": 0.6, "6+": 0.6}
    names = Shares(by="character", children={"*": Shares(by="form")})
    show = Shares(by="num_people", share=people, children={"*": names})
    return Shares(
        by="source",
        share={"screenshots": 0.3, "fanart": 0.2, "regularization": 0.5},
        otherwise=0.0,
        children={"screenshots": show, "fanart": names},
    )


class CropConfig(BaseModel):
    """Crops around neighbouring people, so that heads are large enough to tell who it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[str, ...] = Field(
        default=("screenshots", "fanart"), description="Sources whose pictures are cropped; empty: full pictures only."
    )
    max_people: int = Field(default=6, ge=1, description="Neighbours in one crop at most.")
    crops_per_count: int = Field(
        default=2, ge=0, description="Crops kept of one picture for each number of people, largest heads first."
    )
    min_gain: float = Field(
        default=1.2,
        ge=1.0,
        description="A crop is kept if its smallest head comes out this much larger than in the full picture: below "
        "1.2 the two look alike.",
    )
    min_head_px: float = Field(
        default=12.0,
        ge=0.0,
        description="Smallest head height in the bucket, in pixels, for a crop to be kept: below 12 all look alike.",
    )
    min_full_head_px: float = Field(
        default=12.0,
        ge=0.0,
        description="A full picture is left out, and counted, if a head comes out smaller than this in its bucket and "
        "there are crops of it: a name on a head of 5 px teaches nothing. 0: every full picture is kept.",
    )
    max_headless: float = Field(
        default=0.15,
        ge=0.0,
        le=1.0,
        description="A crop is not kept if a figure whose head it does not show takes up more of it than this (by its "
        "box): such figures are not listed, and the number of people would be wrong.",
    )
    margin_above: float = Field(default=0.35, ge=0, description="Room above heads, in head heights.")
    margin_side: float = Field(default=0.4, ge=0, description="Room beside heads, in head heights.")
    margin_below: float = Field(default=0.8, ge=0, description="Room below heads, in head heights: shoulders.")


class CompositeConfig(BaseModel):
    """Scenes made of cut-out figures on the show's own backgrounds, for numbers and casts that the show seldom has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(
        default=0,
        ge=0,
        description="Composites that are made; 0: none. They are a source of their own: the tree of shares says how "
        "often they come (share = { composite = 0.5, ... }).",
    )
    people: tuple[int, ...] = Field(default=(2, 3, 4, 5), description="Numbers of people, each as often as the others.")
    cut_from: tuple[Literal["screenshots", "reference"], ...] = Field(
        default=("screenshots",),
        description="Whose pictures figures are cut from. reference adds the cast's reference pictures: somebody whom "
        "the frames hardly show alone has no other sound cut-out.",
    )
    cuts_per_look: int = Field(
        default=0,
        ge=0,
        description="Cut-outs of each look at most, those whose name is surest; 0: all. A few are learnt by heart.",
    )
    disorder: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="How much places and sizes vary: 1 as in a show; 0 heads in the middles of cells, all of one size, "
        "as large as a column of the grid allows. The less there is that no caption says, the sooner a small model "
        "hears what it says.",
    )
    lengthen: float = Field(
        default=1.0,
        ge=1,
        le=8,
        description="By how much a body may be drawn out below the shoulders, so that one cut off at the chest can "
        "stand with its head in the upper rows; 1: not at all, it stands lower than asked.",
    )
    aspect: float = Field(
        default=0.0,
        ge=0,
        description="Width over height of all composites; 0: for each the shape that makes its heads largest.",
    )
    backdrops_per_scene: int = Field(
        default=0,
        ge=0,
        description="Backgrounds with the same words (park, day) at most, each scene alike often; 0: all.",
    )
    max_backdrop_light: float = Field(
        default=0.0,
        ge=0,
        description="Backgrounds are used whose light differs by at most this from the show's middle (as a logarithm, "
        "per channel); 0: all. On two pocket shows days differed by up to 0.30, dusk by 0.16 and more, night by 0.6.",
    )
    min_outline: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="A cut-out is used if at least this share of its outline lies on edges of the drawing.",
    )
    min_margin: float = Field(
        default=0.3, description="A figure is used if its name is this much (cosine) ahead of the second."
    )
    min_look_margin: float = Field(
        default=0.05,
        description="A figure of somebody with several looks is used if it is this much (mean cosine over references) "
        "nearer to its own look than to the next: names are surer than looks.",
    )
    min_head_px: float = Field(default=48.0, ge=1, description="Smallest head in the frame that is cut out, in pixels.")
    cuts_per_track: int = Field(default=3, ge=1, description="Cut-outs of one figure of one shot at most.")
    floor: float = Field(
        default=0.86, gt=0, le=1, description="Nothing is taken from below this height of a frame: subtitles lie there."
    )
    max_light: float = Field(
        default=0.35,
        ge=0,
        description="Figure and background must have been drawn in light that differs by at most this (as a logarithm, "
        "per channel); what is left of the difference is taken out.",
    )
    zoom: float = Field(default=2.0, ge=1, description="Sides of a composite over those of its training picture.")


class MixtureConfig(BaseModel):
    """What is seen how often and in what shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: Shares = Field(default_factory=seed_shares, description="The tree of target shares.")
    uniform_over: Literal["originals", "samples"] = Field(
        default="originals",
        description="Inside a leaf of the tree every original picture counts once, however many crops of it are there; "
        "or every sample counts once. With weights_csv originals count, as the seed has it.",
    )
    weights_csv: str = Field(
        default="",
        description="The seed pipeline's headerless CSV of pattern,weight (a path, below the workspace unless "
        "absolute) in place of the tree of shares; empty: the tree counts.",
    )
    csv_levels: tuple[CsvLevel, ...] = Field(
        default=("source", "n_characters", "character"),
        description="Levels of the folders over which the CSV's patterns are matched, outermost first; folder: where "
        "the picture lies.",
    )
    csv_min_combination: int = Field(
        default=10, ge=1, description="Combinations with fewer pictures are character_others there, as in the seed's."
    )
    weigh_by: Literal["sample", "loss", "split"] = Field(
        default="sample",
        description="How a target becomes training: sample, it is how often a picture comes; loss, all come alike "
        "often and it is their loss weight; split, half of each (square roots). The expected loss is the same.",
    )
    max_repeats: float | None = Field(
        default=None,
        gt=0,
        description="Most visits of one picture, all its crops together, over the stage that are aimed at. What is cut "
        "off goes to the nearest branches that have room; with weigh_by loss or split the loss weight makes up for it. "
        "Visits and batches are whole: the plan tells how many pictures come more often, and how often.",
    )
    batch_size: int = Field(default=8, ge=1, description="Samples in one step, over all ranks. 8: the seed's.")
    num_steps: int = Field(default=2000, ge=1, description="Steps of the stream.")
    area_px: int = Field(
        default=9216, ge=64, description="Pixels of a training picture at most; 9216 is 96x96, the pocket model's."
    )
    bucket_step_px: int = Field(
        default=16, ge=1, description="Sides are multiples of this: the VAE's factor times the U-Net's."
    )
    max_aspect: float = Field(
        default=2.25,
        ge=1.0,
        description="Longest bucket: long side over short side at most. 2.25 is 144x64: people who stand in a row have "
        "larger heads in it.",
    )
    min_bucket_samples: int = Field(
        default=1,
        ge=1,
        description="Buckets with fewer samples are merged into the next in aspect: a sample alone in its bucket takes "
        "whole batches, and its visits are exact to a batch only.",
    )
    max_enlargement: float = Field(
        default=1.5,
        gt=0,
        description="A picture that must be enlarged by more to fill its bucket is dropped and counted; one that must "
        "be enlarged by less is kept and counted.",
    )
    separate_shots: bool = Field(default=True, description="Keep frames of one shot out of one batch where possible.")
    crops: CropConfig = Field(default_factory=CropConfig)
    composites: CompositeConfig = Field(default_factory=CompositeConfig)
