"""What the user may choose about room 3. Imports neither torch nor onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

GRAMMARS = ("bound", "layout", "plain", "seed", "sentences")
"""bound: names with places and own tags; layout: names and places alone; plain: names, then all tags; seed: the seed
model's format; sentences: the same as bound in prose."""


class CaptionsConfig(BaseModel):
    """People to words: tags, what of them a name absorbs, and the sentences that are drawn at every visit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tag_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Probability above which a tag counts. Not set: what the tagger's file states, else 0.35.",
    )
    figure_crop: tuple[float, float, float] = Field(
        (1.7, 0.35, 1.25),
        description="What of a figure is tagged, in head heights: width, room above the head, room below it. Face and "
        "chest: an expression must not shrink to 3 px, and a neighbour's clothes must stay outside. A figure "
        "without a head is tagged whole.",
    )
    min_tag_px: float = Field(
        12.0, ge=0, description="Heads lower than this (pixels) are not tagged: what a network says of them is guessed."
    )
    max_settings: int = Field(
        1, ge=0, description="Words for the setting at most (park, classroom), the likeliest; the light has one."
    )
    prune: Literal["core", "traits", "none"] = Field(
        "core",
        description="What a name absorbs: core, the traits that the character nearly always has; traits, every word "
        "about hair, eyes, skin, beard and accessories; none. What is absorbed is not said in captions.",
    )
    core_frequency: float = Field(
        0.4,
        gt=0,
        le=1,
        description="A trait seen in this share of a form's pictures alone is its own: the rule of the seed pipeline.",
    )
    core_min_crops: int = Field(
        4, ge=1, description="Fewer pictures of a form alone than this say nothing about it: nothing is pruned then."
    )
    grammars: Mapping[str, float] = Field(
        {"bound": 1.0},
        description="How often each grammar is drawn, as shares: bound (names with places and own words), layout "
        "(names and places alone), plain (names, then all words), seed (the seed model's format), sentences (prose).",
    )
    stages: Mapping[str, Mapping[str, float]] = Field(
        {}, description="Other shares for single training stages, by the stage's name."
    )
    keep_own_tag: float = Field(
        0.5, ge=0, le=1, description="Chance of each word about a figure to be said. 0.5: named looks and unnamed both."
    )
    max_own_tags: int = Field(6, ge=0, description="Words about one figure at most; the likeliest are kept.")
    say_row: float = Field(0.4, ge=0, le=1, description="Chance that a figure's row is said beside its column.")
    omit_places: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Chance that no place is said at all, so that prompts without places are known too.",
    )
    doubtful_count: Literal["omit", "say"] = Field(
        "omit",
        description="What captions say of the number of people where the people found and the tags disagree and nobody "
        "has looked yet: omit, nothing; say, as many as were found. The seed grammar always says.",
    )
    medium: Mapping[str, str] = Field(
        {
            "screenshots": "aniscreen",
            "fanart": "fanart",
            "regularization": "",
            "reference": "",
            "composite": "composite",
        },
        description="Words for where a picture comes from, by source; aniscreen is the seed's word for screenshots.",
    )
    token_budget: int = Field(
        0,
        ge=0,
        description="Tokens that a caption may have; 0: as many as the model's text encoder reads, which training "
        "never exceeds (an export for trainers that read more may). Longer captions are shortened by whole words, from "
        "the least important on, and counted.",
    )

    @model_validator(mode="after")
    def _known_grammars(self) -> CaptionsConfig:
        for shares in (self.grammars, *self.stages.values()):
            unknown = sorted(set(shares) - set(GRAMMARS))
            if unknown:
                raise ValueError(f"there is no grammar {unknown[0]!r}; the grammars are {', '.join(GRAMMARS)}")
            if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
                raise ValueError("shares of grammars must not be negative, and at least one must be positive")
        return self

    def shares(self, stage: str = "") -> Mapping[str, float]:
        """Shares of the grammars in a training stage."""
        return self.stages.get(stage, self.grammars)
