"""Settings of the trainer; imports without torch. How often each sample is seen is the mixture's business."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SAME_WEIGHTS = (
    "checkpoint_every",
    "checkpoint_every_minutes",
    "keep_best",
    "background_saves",
    "lora_merged",
    "prefetch",
    "processes",
    "validation_share",
    "validate_every",
    "judge_every",
    "judge_pictures",
    "sample_prompts",
    "tensorboard",
    "dollars_per_hour",
    "keep_states",
    "keep_checkpoints",
    "checkpoint_dtype",
    "sample_every",
    "log_every",
    "probe_every",
    "probe_samples",
    "latents_batch_size",
    "device",
    "deterministic",
)
"""Settings that may change between two slices of one run: they do not touch the weights."""

_FIRST = (
    "seed learning_rate text_encoder_learning_rate warmup_steps lr_schedule adam_beta2 weight_decay max_grad_norm "
    "caption_dropout_rate timestep_high_from timestep_share_high min_snr_gamma ema_decay mixed_precision "
    "gradient_checkpointing"
)
ALWAYS_TOLD = frozenset(_FIRST.split())
"""Settings of the first version: always in the fingerprint. Later ones are in it only where they differ from their
default, so that a run begun before they came can be gone on with."""

_CARRIED_ON = (
    "seed adam_beta2 weight_decay ema_decay ema_every mixed_precision gradient_checkpointing warmup_steps lr_schedule "
    "lr_end changes prediction_type zero_terminal_snr clip_skip lora_rank lora_alpha optimizer weights_dtype parallel "
    "compile cache_text gradient_accumulation"
)
ONE_FOR_ALL = frozenset(SAME_WEIGHTS) | frozenset(_CARRIED_ON.split())
"""Settings that hold for the whole of a training, in every stage: optimizer, average and network are carried on."""


class Change(BaseModel):
    """Settings that hold from a step on, until the next change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_step: int = Field(ge=0, description="First step, counted over the whole training.")
    settings: dict[str, Any] = Field(default={}, description="Name of a setting of [training] -> value.")


class TrainingConfig(BaseModel):
    """Fine-tuning of an image model, whole or by LoRA. The number of steps and the batch size come from the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, description="Keys noise, timesteps and caption dropout.")
    learning_rate: float = Field(
        default=1e-4,
        gt=0,
        description="AdamW rate of the denoiser. 1e-4 suits the pocket model; SD 1.5 wants 1e-6 to 5e-6.",
    )
    text_encoder_learning_rate: float = Field(
        default=1e-4,
        ge=0,
        description="Rate of the text encoder; 0 freezes it. New names are learnt faster with it on.",
    )
    warmup_steps: int = Field(default=100, ge=0, description="Steps over which the rate rises linearly from 0.")
    lr_schedule: Literal["constant", "cosine"] = Field(
        default="constant",
        description="cosine falls to lr_end at the last step; with either another number of steps is another run.",
    )
    lr_end: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="What cosine ends at, as a share of the rate; Muon's steps get no smaller by themselves: 0.01.",
    )
    adam_beta2: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        description="AdamW's second beta: 0.99 forgets a bad batch in 100 steps, 0.999 in 1,000.",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="Weight decay of AdamW, as in the diffusers examples.")
    max_grad_norm: float = Field(default=1.0, gt=0, description="Gradient clipping: down to this L2 norm.")

    caption_dropout_rate: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="Share of visits with the empty caption, for guidance; the seed's.",
    )
    timestep_high_from: int = Field(
        default=600, ge=0, lt=1000, description="Timesteps from here on count as high noise."
    )
    timestep_share_high: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Share of draws at high noise, where layout and identity are decided; 0.4: uniform.",
    )
    tag_dropout_rate: float = Field(
        default=0.0, ge=0, lt=1, description="Share of a caption's tags (parts between commas) left out at a visit."
    )
    shuffle_tags: bool = Field(
        default=False, description="Tags in another order at each visit. For flat lists: bound captions name places."
    )
    keep_tags: int = Field(
        default=1, ge=0, description="Tags at the beginning of a caption that are neither left out nor moved."
    )
    region_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of visits in which each figure's words are bound to its own part of the picture, as "
        "generation binds them where places are given; 0.7 leaves the rest to plain captions.",
    )
    region_global: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Weight of the whole caption against a figure's own words in its region, as in generation.",
    )
    prediction_type: Literal["base", "epsilon", "v_prediction", "sample"] = Field(
        default="base", description="What the denoiser is trained to say; base: as the base model does."
    )
    sample_weight_max: float = Field(
        default=16.0,
        ge=1,
        description="Of a denoiser that says the picture itself (sample) errors count as those of v would, up to this.",
    )
    zero_terminal_snr: bool = Field(
        default=False, description="Rescales the base's noise schedule so that its last step is pure noise."
    )
    clip_skip: int | None = Field(
        default=None,
        ge=1,
        le=12,
        description="CLIP skip: layer of the text encoder that is heard, from the end; 1 the last, 2 NovelAI's. Empty: "
        "as the base says, and 1 where it says nothing.",
    )
    loss: Literal["mse", "huber"] = Field(
        default="mse", description="huber: pseudo-Huber, which a few wrong pictures pull less."
    )
    huber_c: float = Field(default=0.1, gt=0, description="Errors far below it count squared, far above it linearly.")
    huber_schedule: Literal["constant", "exponential"] = Field(
        default="exponential", description="exponential: c falls from 1 at t = 0 to huber_c at the last timestep."
    )
    noise_offset: float = Field(
        default=0.0, ge=0, description="Offset noise: one more draw per channel, times this; lets brightness be learnt."
    )
    masked_loss: bool = Field(
        default=False, description="Masked loss: it counts people, and little of what lies outside."
    )
    mask_outside: float = Field(
        default=0.1, ge=0, le=1, description="Weight of the loss outside people, where masked_loss is on."
    )
    prior_preservation: bool = Field(
        default=False,
        description="Prior preservation: regularization pictures are held to what the base said of them.",
    )
    min_snr_gamma: float | None = Field(
        default=None,
        gt=0,
        description="Min-SNR loss weights (5 is usual); with zero terminal SNR t = 999 gets the weight 0.",
    )
    ema_decay: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        description="EMA: decay of the averaged weights that are saved; 0 saves the live ones.",
    )
    ema_every: int = Field(default=4, ge=1, description="Steps between two weights that are averaged, after 40 steps.")
    mixed_precision: Literal["no", "bf16", "auto"] = Field(
        default="no",
        description="bf16 computes in bfloat16 over float32 weights; auto does where that is fast: on GPUs from Ampere "
        "on, and on processors with AMX.",
    )
    gradient_checkpointing: bool = Field(default=False, description="Half the memory for a third more time.")
    gradient_accumulation: int = Field(
        default=1, ge=1, description="Parts in which a batch goes through the network; the step stays one of the batch."
    )
    lora_rank: int = Field(default=0, ge=0, description="Rank of a LoRA; 0 trains the whole model.")
    lora_alpha: float | None = Field(
        default=None, gt=0, description="The LoRA's scale times its rank; empty: the rank."
    )
    lora_merged: bool = Field(
        default=True, description="A LoRA's checkpoint holds the merged model too: what generate and judge open."
    )
    optimizer: Literal["adamw", "adamw8bit", "muon"] = Field(
        default="adamw",
        description="muon: rare things such as names are learnt in fewer steps, at adamw's rates; adamw8bit keeps its "
        "moments in 8 bits, needs CUDA and the package bitsandbytes.",
    )
    weights_dtype: Literal["float32", "bf16"] = Field(
        default="float32",
        description="bf16 keeps trained weights and moments in bfloat16, rounded stochastically: half the memory.",
    )
    compile: bool = Field(default=False, description="torch.compile, once for each size of picture.")
    cache_text: bool = Field(
        default=False,
        description="Each caption goes through a frozen text encoder once, alone; without effect while it is trained.",
    )
    parallel: Literal["ddp", "fsdp2"] = Field(
        default="ddp",
        description="Under torchrun: each process holds the model (ddp), or a part of what is trained (fsdp2); then "
        "nobody can measure or draw: judge_every, sample_every, probe_every and validation_share must be 0.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="Processes that share every batch on this machine, started by torchrun: one for each GPU, or for "
        "each core where there is none. The weights differ in the last digits only.",
    )
    prefetch: int = Field(
        default=1, ge=0, description="Batches that are got ready ahead, each in a thread; the weights are the same."
    )
    device: str = Field(default="auto", description="auto (cuda if there is one), cpu, cuda, cuda:1 ...; never mps.")

    deterministic: bool = Field(
        default=False,
        description="On a GPU: sums in a fixed order, slower, so that a training that is resumed is that of an "
        "uninterrupted run to the bit. A CPU does so anyway.",
    )

    latents_batch_size: int = Field(
        default=1,
        ge=1,
        description="Pictures encoded at once. 1 makes latents independent of their neighbours to the bit.",
    )
    checkpoint_every: int = Field(default=500, ge=1, description="Steps between checkpoints.")
    checkpoint_every_minutes: float = Field(
        default=0.0, ge=0, description="Minutes after which there is a checkpoint in any case; 0: by steps alone."
    )
    keep_checkpoints: int | None = Field(default=None, ge=1, description="Newest checkpoints kept; empty keeps all.")
    keep_best: bool = Field(
        default=False, description="Keeps the checkpoint that the judge found best; needs judge_every."
    )
    background_saves: bool = Field(
        default=True, description="Checkpoints are written by a thread; costs a copy of weights and state in memory."
    )
    keep_states: int = Field(
        default=1, ge=1, description="Newest checkpoints that can be resumed; older ones are the model alone."
    )
    checkpoint_dtype: Literal["float32", "float16"] = Field(
        default="float32", description="Number format of the model in a checkpoint."
    )
    sample_every: int = Field(default=500, ge=0, description="Steps between sample pictures; 0: none.")
    sample_prompts: str = Field(
        default="",
        description="File of what to draw: one prompt a line (.txt) or [[scene]] tables (.toml); read anew each time.",
    )
    validation_share: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the shots that are never trained on; their loss is measured."
    )
    validate_every: int = Field(
        default=500, ge=1, description="Steps between measurements of the loss on shots that are held out."
    )
    judge_every: int = Field(
        default=0, ge=0, description="Steps between judgements of each character's success; 0: none."
    )
    judge_pictures: int = Field(default=4, ge=1, description="Pictures of each character that a judgement draws.")
    dollars_per_hour: float = Field(
        default=0.0, ge=0, description="Price of the machine, for the cost so far in the live line; 0: not told."
    )
    tensorboard: bool = Field(
        default=False, description="Writes the metrics for TensorBoard too; needs the package tensorboard."
    )
    log_every: int = Field(default=10, ge=1, description="Steps between lines of metrics.jsonl.")
    probe_every: int = Field(default=200, ge=0, description="Steps between probes of the loss by caption; 0: none.")
    probe_samples: int = Field(default=16, ge=2, description="Samples that the probe looks at, always the same ones.")

    changes: tuple[Change, ...] = Field(
        default=(), description="What stages change; written by the plan from the recipe's [[stages]]."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> TrainingConfig:
        if self.compile and self.region_share:
            raise ValueError(
                "compile and region_share were both set; regions change from batch to batch, so that every step would "
                "be compiled anew: leave out one of them"
            )
        if self.optimizer == "muon" and (self.weights_dtype == "bf16" or self.parallel == "fsdp2"):
            raise ValueError(
                "optimizer = muon needs whole matrices in float32: take adamw, or leave out weights_dtype = bf16 and "
                "parallel = fsdp2"
            )
        if self.optimizer == "adamw8bit" and self.weights_dtype == "bf16":
            raise ValueError(
                "optimizer = adamw8bit and weights_dtype = bf16 were both set, and bf16 weights have an AdamW of their "
                "own with moments in bfloat16: leave out one of them"
            )
        if self.lora_rank and self.parallel == "fsdp2":
            raise ValueError(
                "parallel = fsdp2 spreads the weights that are trained, and a LoRA has few: leave it out (ddp trains a "
                "LoRA in several processes), or leave out lora_rank"
            )
        if self.prediction_type == "epsilon" and self.zero_terminal_snr:
            raise ValueError(
                "zero_terminal_snr and prediction_type = epsilon contradict each other: from pure noise the noise says "
                "nothing of the picture; set prediction_type = v_prediction"
            )
        if self.keep_best and not self.judge_every:
            raise ValueError("keep_best keeps what the judge found best, and judge_every is 0: set it, or leave it out")
        if self.processes > 1 and (told := self.unmeasured()):
            raise ValueError(told)
        return self

    def unmeasured(self) -> str:
        """What is asked for and cannot be had where several processes share the weights (fsdp2), as a sentence."""
        names = ("validation_share", "judge_every", "sample_every", "probe_every")
        asked = [name for name in names if getattr(self, name)] if self.parallel == "fsdp2" else []
        return (
            "parallel = fsdp2 spreads the weights over the processes, so that none of them can measure or draw: set "
            f"{' and '.join(asked)} to 0, or take parallel = ddp"
            if asked
            else ""
        )

    def at(self, step: int) -> TrainingConfig:
        """The settings that hold at a step: a pure function, so a checkpoint resumes inside any stage."""
        begun = [change for change in self.changes if change.from_step <= step]
        return self.model_copy(update=max(begun, key=lambda change: change.from_step).settings) if begun else self

    def highest(self, setting: str) -> float:
        """The greatest value that a rate has in any stage: what is never above 0 is not trained at all."""
        return max(getattr(config, setting) for config in (self, *(self.at(c.from_step) for c in self.changes)))

    def rate_at(self, step: int, num_steps: int) -> float:
        """Factor on the learning rates at a step in [0, num_steps): a pure function, so nothing of it is saved."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.lr_schedule == "constant":
            return warm
        fallen = 0.5 - 0.5 * math.cos(math.pi * min(1.0, step / max(1, num_steps)))
        return warm * (1 - (1 - self.lr_end) * fallen)

    def about_weights(self, base_clip_skip: int = 1) -> dict[str, Any]:
        """The settings that the weights depend on: a run may be resumed only with the same ones. Of clip_skip the layer
        that is heard, whoever says it, where it is not the last."""
        told = self.model_dump(mode="json", exclude=set(SAME_WEIGHTS))
        default = TrainingConfig().model_dump(mode="json") | {"clip_skip": 1}
        told["clip_skip"] = self.clip_skip or base_clip_skip
        return {name: value for name, value in told.items() if name in ALWAYS_TOLD or value != default[name]}
