"""Making a picture again from what its PNG says."""

from __future__ import annotations

from pathlib import Path

from fullcast.generation.inpaint import mask_from_text, paint
from fullcast.generation.metadata import png_text, read_recipe
from fullcast.generation.sampler import sample
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import file_id, read_picture, write_png


def regenerate(model: StableDiffusion, png: Path, out: Path, parent: Path | None = None) -> Path:
    """Writes the picture again: on a CPU and with the same libraries the same bytes. `parent`: what it was painted on.

    The other places of its batch are filled with the picture itself, since rounding depends on the batch's shape.
    Raises FullcastError for another checkpoint or another parent than those that made it.
    """
    recipe, slot = read_recipe(png)
    sha256 = model.sha256()
    if recipe.checkpoint_sha256 != sha256:
        raise FullcastError(
            f"{png} was made by {recipe.checkpoint or 'a checkpoint'} with sha256 {recipe.checkpoint_sha256[:12]}..., "
            f"this model has {sha256[:12]}...; give that checkpoint"
        )
    dtype = str(model.dtype).removeprefix("torch.")
    if recipe.dtype != dtype:
        raise FullcastError(
            f"{png} was drawn in {recipe.dtype}, this model computes in {dtype}; open it in {recipe.dtype}"
        )
    if recipe.inpaint is None:
        image = sample(model, [recipe] * slot.batch_size)[slot.index]
    else:
        wanted = recipe.inpaint["parent_file"]
        if parent is None or file_id(parent) != wanted:
            raise FullcastError(f"{png} was painted on a file with id {wanted}; give that picture as its parent")
        image = paint(model, recipe, read_picture(parent), mask_from_text(recipe.inpaint["mask"]))
    write_png(out, image, png_text(recipe, slot))
    return out
