"""Settings of what a plan costs, and of pictures that are not there yet. Imports neither torch nor numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Gpu(BaseModel):
    """A card that a training may be run on. Peaks and prices are what somebody states, not what was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    peak_tflops: float = Field(gt=0, description="Dense bfloat16 or float16 peak, 10^12 operations per second.")
    price: tuple[float, float] = Field(description="Dollars per hour, lowest and highest that you may pay.")
    memory_gb: float = Field(gt=0, description="Memory of the card, 10^9 bytes.")
    efficiency: tuple[float, float, float] = Field(
        default=(0.2, 0.3, 0.4),
        description="Share of the peak that a training reaches: low, likely, high. 20 steps on the card tell it.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Gpu:
        if list(self.price) != sorted(self.price) or self.price[0] < 0:
            raise ValueError("price must be (lowest, highest), both 0 or more")
        if list(self.efficiency) != sorted(self.efficiency) or not 0 < self.efficiency[0] <= self.efficiency[2] <= 1:
            raise ValueError("efficiency must be (low, likely, high), above 0 and at most 1")
        return self


def known_gpus() -> dict[str, Gpu]:
    """Assumed peaks; prices per hour as one price list of rented cards had them in March 2026, the A6000's of 2023.

    36 pictures/s at 512 on an A100 (MosaicML) are 0.28 of its peak, what users of EveryDream2 report is 0.16 to 0.26;
    small batches do not fill an H100.
    """
    return {
        "RTX 3090": Gpu(peak_tflops=71, price=(0.22, 0.39), memory_gb=24),
        "A6000": Gpu(peak_tflops=155, price=(0.49, 0.79), memory_gb=48),
        "RTX 4090": Gpu(peak_tflops=165, price=(0.34, 0.60), memory_gb=24),
        "A100": Gpu(peak_tflops=312, price=(1.19, 2.10), memory_gb=80),
        "H100": Gpu(peak_tflops=989, price=(2.69, 4.76), memory_gb=80, efficiency=(0.1, 0.15, 0.3)),
    }


class Offer(BaseModel):
    """One row of the price table: a card, and with which area every stage would be trained on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: str = Field(description="A name of cost.gpus.")
    side_px: int = Field(default=0, ge=0, description="Train all stages at side x side pixels; 0: as the plan says.")


class CostConfig(BaseModel):
    """What hours, money, memory and disk are reckoned with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: Mapping[str, Gpu] = Field(
        default_factory=known_gpus,
        description="Cards that a training may be priced on, by name; a table of a known one says only what differs.",
    )
    offers: tuple[Offer, ...] = Field(default=(), description="Rows of the price table; empty: every card once.")
    family: Literal["auto", "sd1", "none"] = Field(
        default="auto",
        description="Whose work is reckoned: sd1, Stable Diffusion 1.x; none, no price table; auto, by the base's "
        "files, or by its name while they are not here.",
    )
    compare_orders: int = Field(
        default=20,
        ge=0,
        description="Orders of EveryDream1, EveryDream2 and i.i.d. sampling drawn to be told beside the plan; 0: none.",
    )
    cached_latents: bool = Field(default=True, description="Pictures are encoded once; else at every visit.")
    save_s: float = Field(default=20, ge=0, description="Seconds to write one checkpoint (4 GB and its state).")
    sample_s: float = Field(default=30, ge=0, description="Seconds for one round of sample pictures.")
    setup_s: float = Field(default=900, ge=0, description="Seconds until the first step: renting, copying, installing.")
    storage_price: float = Field(default=0.0, ge=0, description="Dollars per 10^9 bytes that are kept.")

    @model_validator(mode="before")
    @classmethod
    def _over_known(cls, values: Any) -> Any:
        """A table of a known card says what is otherwise; the other known cards stay."""
        if not isinstance(values, Mapping) or not isinstance(values.get("gpus"), Mapping):
            return values
        gpus: dict[str, Any] = {name: gpu.model_dump() for name, gpu in known_gpus().items()}
        for name, given in values["gpus"].items():
            gpus[name] = {**gpus.get(name, {}), **given} if isinstance(given, Mapping) else given
        return {**values, "gpus": gpus}

    @model_validator(mode="after")
    def _known_offers(self) -> CostConfig:
        unknown = [offer.gpu for offer in self.offers if offer.gpu not in self.gpus]
        if unknown:
            raise ValueError(f"cost.offers names {unknown[0]!r}; cost.gpus has {', '.join(self.gpus)}")
        return self


class Pictures(BaseModel):
    """Pictures that are not there yet, to plan with: so many of one kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=1, description="How many.")
    source: Literal["screenshots", "fanart", "regularization"] = Field(description="Where they come from.")
    size: tuple[int, int] = Field(default=(1920, 1080), description="Width and height in pixels.")
    people: tuple[str, ...] = Field(
        default=(), description='Who is in each of them, left to right: "aoi", "hinata/hairdown", "unknown".'
    )
    head_height: float = Field(default=0.25, gt=0, lt=1, description="Head height over picture height.")
    per_shot: int = Field(default=1, ge=1, description="Pictures that come from one shot.")
