"""Settings of the judge. Imports no torch: `fullcast --help` reads it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class JudgingConfig(BaseModel):
    """How figures are accepted, how names are matched, how many pictures make a figure."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    pictures_per_count: int = Field(default=16, ge=1)
    """Pictures generated and judged for each number of people. 16 gives intervals about 0.45 wide and costs a minute:
    enough to see a shape in `fullcast demo`. Publish with 200 (0.13 wide at one half)."""
    max_people: int = Field(default=5, ge=1, le=32)
    """Scenes are judged for 1 to this many people. Five, as the seed model promised."""
    min_confidence: float = Field(default=0.3, ge=0, le=1)
    """Detector confidence in [0, 1] from which a figure counts, also where the detector labels from a higher one on:
    made figures are fainter than drawn ones. 0.3 is what detect-and-inpaint tools use."""
    max_overlap: float = Field(default=0.5, gt=0, le=1)
    """IoU of heads (of figures where a head is missing) above which two detections are one: the weaker one goes."""
    min_area: float = Field(default=0.003, ge=0, lt=1)
    """Share of the picture that a head must cover to count: 0.3 %, 11 pixels square in a picture of 200 x 200. At
    half of that an ornament of 4 pixels in a picture of 144 x 64 was counted as a head."""
    hybrid_margin: float | None = Field(default=None, ge=0, le=2)
    """A figure is a hybrid when it is closer than this (in cosine) to two of those asked for. Empty: the fifth
    percentile of that gap over the cast's own references, held out, so that about one true figure in twenty is called
    a hybrid (0.10 on a pocket cast)."""
    place_tolerance: int = Field(default=1, ge=0, le=4)
    """Columns of the 5x5 grid by which a head may miss its place. 1: heads next to each other at five people are one
    column apart, so the order from left to right, which must be exact, carries the rest."""
    pictures_per_scene: int = Field(default=1, ge=1, le=64)
    """Pictures of each scene, each from a noise of its own. More than one tells S_N@k (the best of k, picked by the
    networks that labelled) and how different a scene's pictures are; each costs as much as the first."""
    best_of: int = Field(default=1, ge=1, le=64)
    """With ``repairs``: what ``fullcast generate --best-of K --repairs R`` gives for the same prompts is judged beside
    the pictures as they come. The networks that labelled choose one of K, never the judge."""
    repairs: int = Field(default=0, ge=0, le=32)
    """Wrong figures of a chosen picture that are drawn anew at most; each costs up to three pictures. With a
    ``best_of`` of 1, 0 asks for nothing beside the pictures as they come."""
    swapped_scenes: bool = False
    """Whether each scene with places is asked for a second time from the same noise, first and last person having
    changed places: only a model that listens passes both."""
    scenes_while_training: int = Field(default=0, ge=0)
    """Whole scenes of each number of people from 2 to ``max_people`` that a judgement during training (every
    ``training.judge_every`` steps) draws and judges beside each character alone, always the same ones from the same
    noise: success over training steps is then S_N, and the checkpoint that is kept as best is the best at scenes."""
    true_pictures: int = Field(default=400, ge=0)
    """The show's own pictures, evenly over all of it, that made ones are compared with (KID, MMD); 0: none, and copies
    are not looked for either. Copies are looked for among all that the plan shows. Every 400 take a minute, once, with
    CCIP on two cores, seconds with the pocket embedder."""
    bootstrap_repeats: int = Field(default=2000, ge=100)
    """Resamplings of the prompts for intervals of leaking, and turns of scenes' signs for p of a comparison."""
    seed: int = 0
    """Of benchmarks (held-out scenes, and the noise of every picture that is judged) and of resampling: who judges one
    benchmark file with one seed starts from the same noise in any workspace."""
    batch_size: int = Field(default=16, ge=1)
    """Pictures looked at together; changes speed only."""
