"""Scenes -> pictures in a folder, each a PNG that says how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fullcast.generation.config import GenerationConfig
from fullcast.generation.layout import with_places
from fullcast.generation.metadata import Recipe, Slot, png_text, read_recipe
from fullcast.generation.painters import FEWEST, Painters
from fullcast.generation.regions import negatives_beside, regions_of
from fullcast.generation.sampler import sample
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import Progress, silent
from fullcast.recognition.words import prompt_for
from fullcast.records import Cast, Picture, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png
from fullcast.store.tables import from_plain


def open_model(folder: Path, device: str = "auto", dtype: str = "auto") -> StableDiffusion:
    """The model in a diffusers folder, on the device, ready to draw; `dtype` as in `GenerationConfig`."""
    import torch

    from fullcast.models.torch_device import drawing_dtype

    model = StableDiffusion.load(folder)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    model.for_drawing(where, drawing_dtype(dtype, where))
    return model


def generate(
    model: StableDiffusion,
    scenes: Sequence[Scene],
    cast: Cast,
    config: GenerationConfig,
    out_dir: Path,
    *,
    num_pictures: int = 1,
    seeds: Sequence[int] | None = None,
    checkpoint: str = "",
    checkpoint_sha256: str = "",
    progress: Progress = silent,
    painters: Painters | None = None,
    keep_others: bool = False,
) -> list[Picture]:
    """`num_pictures` of each scene (from its own seed on, else from config.seed), or one of each from its entry of
    `seeds`.

    Written as `{scene.id}-{seed}.png`; what is there already from the same recipe is not made again. `keep_others`: a
    file of another recipe is not replaced; the new one has the first digits of its id in its name. In the order of
    scenes, then seeds. Paths of the pictures are relative to `out_dir`. `checkpoint` names the model in the records;
    its sha256 is computed unless given (5 s for SD 1.5). `painters` draw in processes of their own when there is enough
    to do; the bytes are the same.
    """
    asked = _asked(scenes, config, num_pictures, seeds)
    sha256 = checkpoint_sha256 or model.sha256()
    recipes = [recipe_for(model, scene, seed, cast, config, checkpoint, sha256) for scene, seed in asked]
    names = [f"{scene.id}-{seed}.png" for scene, seed in asked]
    if len(set(names)) < len(names):
        raise FullcastError("two of the pictures asked for have the same scene id and seed; give each its own")
    if keep_others:
        names = [_beside_others(out_dir, name, recipe) for name, recipe in zip(names, recipes, strict=True)]
    missing = [i for i, r in enumerate(recipes) if not _made_already(out_dir / names[i], r)]
    if missing:
        progress.start("generate", len(missing))
    groups = batches(recipes, missing, config.batch_size)
    asked_for = [([recipes[i] for i in group], [out_dir / names[i] for i in group]) for group in groups]
    if painters is not None and painters.count > 1 and len(missing) >= FEWEST:
        painters.paint(asked_for, progress.advance)
    else:
        for batch in asked_for:
            write_batch(model, *batch)
            progress.advance(len(batch[0]))
    if missing:
        progress.done()
    return [picture_of(recipe, name) for name, recipe in zip(names, recipes, strict=True)]


def recipe_for(
    model: StableDiffusion, scene: Scene, seed: int, cast: Cast, config: GenerationConfig, checkpoint: str, sha256: str
) -> Recipe:
    """A scene in the words and numbers of one picture."""
    own_width, own_height = model.default_size
    planned = with_places(scene, cast, seed) if config.plan_places else scene
    regional = config.region_steps > 0
    regions = regions_of(planned, cast) if regional else []
    negatives = [scene.negative_prompt, config.negative_prompt, *negatives_beside(planned, regional)]
    return Recipe(
        scene=scene,  # as it was asked for: what it is judged by
        prompt=prompt_for(planned, cast),
        negative_prompt=", ".join(n for n in negatives if n),
        regions=tuple({"box": list(r.box), "prompt": r.prompt, "negative_prompt": r.negative_prompt} for r in regions),
        seed=seed,
        width=scene.width or config.width or own_width,
        height=scene.height or config.height or own_height,
        num_inference_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        guidance_rescale=config.guidance_rescale,
        scheduler=config.scheduler,
        region_global=config.region_global,
        region_steps=config.region_steps,
        # A path of this machine would mean nothing elsewhere, and tell whose it is.
        checkpoint=Path(checkpoint).name if Path(checkpoint).is_absolute() else checkpoint,
        checkpoint_sha256=sha256,
        dtype=str(model.dtype).removeprefix("torch."),
    )


def write_batch(model: StableDiffusion, recipes: Sequence[Recipe], paths: Sequence[Path]) -> None:
    images = sample(model, recipes)
    for index, (recipe, path) in enumerate(zip(recipes, paths, strict=True)):
        write_png(path, images[index], png_text(recipe, Slot(len(recipes), index)))


def batches(recipes: Sequence[Recipe], which: Iterable[int], size: int) -> list[list[int]]:
    """Indices in groups that can be sampled together: one size and one number of regions each."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for i in which:
        groups.setdefault((recipes[i].width, recipes[i].height, len(recipes[i].regions)), []).append(i)
    return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]


def picture_of(recipe: Recipe, path: str) -> Picture:
    """The record of a PNG that was written at `path`."""
    return from_plain(Picture, {**recipe.to_json(), "id": recipe.id, "path": path})


def _asked(
    scenes: Sequence[Scene], config: GenerationConfig, num_pictures: int, seeds: Sequence[int] | None
) -> list[tuple[Scene, int]]:
    if seeds is not None:
        return list(zip(scenes, seeds, strict=True))
    first = [scene.seed if scene.seed >= 0 else config.seed for scene in scenes]
    return [(scene, seed + k) for scene, seed in zip(scenes, first, strict=True) for k in range(num_pictures)]


def _beside_others(out_dir: Path, name: str, recipe: Recipe) -> str:
    """The name, with the recipe's id in it where a file that was made otherwise has it."""
    path = out_dir / name
    if not path.exists() or _made_already(path, recipe):
        return name
    return f"{path.stem}-{recipe.short_id}.png"


def _made_already(path: Path, recipe: Recipe) -> bool:
    if not path.exists():
        return False
    try:
        return read_recipe(path)[0].to_json() == recipe.to_json()
    except (FullcastError, KeyError, TypeError, ValueError):
        return False
