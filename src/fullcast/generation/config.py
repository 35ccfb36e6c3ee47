"""Settings of the generator; imports without torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fullcast.store.errors import FullcastError

MIN_SIDE = 64
"""Pixels; below it no figure can be told."""


class GenerationConfig(BaseModel):
    """How pictures are sampled; what is in them is the scene's business."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_inference_steps: int = Field(
        default=24, ge=1, le=1000, description="Denoising steps; more than 30 change little with DDIM."
    )
    guidance_scale: float = Field(
        default=4.0,
        ge=1,
        le=30,
        description="How hard the prompt pulls (CFG); 1 is off and twice as fast. SD 1.5: 5 to 8.",
    )
    guidance_rescale: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Takes back contrast that guidance adds; 0.7 as its paper says, for v-prediction.",
    )
    scheduler: Literal["ddim", "euler", "dpm++2m"] = Field(
        default="ddim", description="One of diffusers'; ddim adds no noise on the way."
    )
    negative_prompt: str = Field(default="", description="What no picture should have; a scene's own is added to it.")
    seed: int = Field(
        default=0,
        ge=0,
        le=2**63 - 1,
        description="Of a scene's first picture, where the command line gives none; its next ones count up.",
    )
    batch_size: int = Field(default=8, ge=1, description="Pictures sampled together.")
    width: int = Field(default=0, ge=0, description="Pixels, 64 or more; 0: the model's own width.")
    height: int = Field(default=0, ge=0, description="Pixels, 64 or more; 0: the model's own height.")
    plan_places: bool = Field(
        default=False,
        description="Gives places to people who have none, drawn as the show places as many, so that regions bind.",
    )
    region_global: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Places given: weight of the global prompt against a character's own in its region.",
    )
    region_steps: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Places given: first share of the steps in which regions bind; 0: prompts only.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="In which denoiser and text encoders compute. auto: bfloat16 on GPUs from Ampere on, float16 on "
        "older ones, float32 elsewhere.",
    )
    textual_inversions: tuple[str, ...] = Field(
        default=(),
        description="Files of textual inversions (.pt, .bin, .safetensors), in the workspace or anywhere: the word of "
        "each may stand in prompts.",
    )
    device: str = Field(default="auto", description="auto (the recipe's device), cpu, cuda, cuda:1 ...")

    @field_validator("width", "height")
    @classmethod
    def _can_be_seen(cls, side: int) -> int:
        if 0 < side < MIN_SIDE:
            raise ValueError(f"accepted are 0 (the model's own) and sides of {MIN_SIDE} pixels or more")
        return side

    def changed(self, **values: Any) -> GenerationConfig:
        """The settings with some of them replaced. Raises FullcastError for a value that is not accepted."""
        try:
            return GenerationConfig.model_validate({**self.model_dump(), **values})
        except ValidationError as error:
            first = error.errors()[0]
            name, told = ".".join(map(str, first["loc"])), first["msg"]
            raise FullcastError(
                f"{name} = {first['input']!r} is not accepted: {told[:1].lower() + told[1:]}; give another value"
            ) from None
