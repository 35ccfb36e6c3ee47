"""Painting one part of a picture again; every pixel outside the mask stays bit-identical.

Any plain denoiser will do: at each step the latents outside the mask are those of the picture itself, noised as far as
the step expects (Lugmayr et al., "RePaint", 2022, arXiv:2201.09865, without its resampling; Avrahami et al., "Blended
Latent Diffusion", 2022, arXiv:2206.02779). The pixels are pasted back through the mask afterwards, because a VAE moves
every pixel a little.
"""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from fullcast.generation.config import GenerationConfig
from fullcast.generation.generate import picture_of, recipe_for
from fullcast.generation.metadata import Recipe, Slot, png_text, read_recipe
from fullcast.generation.out import file_to_write
from fullcast.generation.sampler import Kept, sample
from fullcast.models.stable_diffusion.family import StableDiffusion, to_tensor
from fullcast.records import Box, Cast, Picture, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import encode_png, file_id, read_picture, write_png


def inpaint(
    model: StableDiffusion,
    picture: Path,
    mask: np.ndarray,
    scene: Scene,
    cast: Cast,
    config: GenerationConfig,
    out: Path | None = None,
    *,
    seed: int = 0,
    strength: float = 1.0,
    feather: int = 4,
    checkpoint: str = "",
) -> Picture:
    """Paints what `scene` says into the part of `picture` where `mask` (H, W) is true, and writes it to `out`.

    Without `out` beside the picture, as ``NAME-inpainted-ID.png``, ID the first digits of its own id: another seed or
    another prompt has another name. `strength` in (0, 1]: 1 forgets what was there. `feather`: pixels inside the mask
    over which new fades into old. FullcastError for a mask of another size, an empty one, a strength out of range, or
    an `out` that cannot be written.
    """
    image = read_picture(picture)
    mask = checked_mask(mask, image, picture)
    check_strength(strength)
    out = None if out is None else file_to_write(out, kept=[picture])
    scene = replace(scene, width=image.shape[1], height=image.shape[0])
    config = config.model_copy(update={"plan_places": False})  # the mask says where
    recipe = recipe_for(model, scene, seed, cast, config, checkpoint, model.sha256())
    how = {
        "parent": _id_of(picture),
        "parent_file": file_id(picture),
        "mask": base64.b64encode(encode_png(mask.astype(np.uint8) * 255)).decode(),
        "strength": strength,
        "feather": feather,
    }
    recipe = replace(recipe, inpaint=how)
    out = out or picture.with_name(f"{picture.stem}-inpainted-{recipe.short_id}.png")
    write_png(out, paint(model, recipe, image, mask), png_text(recipe, Slot(1, 0)))
    return picture_of(recipe, out.name)


def paint(model: StableDiffusion, recipe: Recipe, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: `image` with the part under `mask` painted as the recipe says; sizes need not divide."""
    assert recipe.inpaint is not None
    padded, padded_mask = pad(image, model.size_multiple), pad(mask, model.size_multiple)
    latents = model.encode_images(to_tensor([padded]).to(model.device))
    kept = Kept(latents, latent_mask(padded_mask, latents.shape[-2:]).to(latents), recipe.inpaint["strength"])
    whole = replace(recipe, width=padded.shape[1], height=padded.shape[0])
    painted = sample(model, [whole], kept)[0][: image.shape[0], : image.shape[1]]
    return paste(image, painted, mask, recipe.inpaint["feather"])


def _id_of(picture: Path) -> str:
    """A picture of ours by the id it carries, any other file by its hash."""
    try:
        return read_recipe(picture)[0].id
    except (FullcastError, KeyError, TypeError, ValueError):
        return file_id(picture)


def box_mask(box: Box, width: int, height: int) -> np.ndarray:
    """(height, width) bool of a box xyxy in pixels. FullcastError when it holds no pixel of the picture."""
    x0, y0, x1, y1 = (round(v) for v in box)
    mask = np.zeros((height, width), dtype=bool)
    mask[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    if not mask.any():
        raise FullcastError(
            f"the box {box} lies outside the picture of {width}x{height} pixels; give x0 y0 x1 y1 in it"
        )
    return mask


def mask_from_picture(path: Path) -> np.ndarray:
    """(H, W) bool: where a picture is lighter than half grey; white is painted, black and what is clear are kept."""
    return read_picture(path, behind="black").mean(2) > 127.5


def mask_from_text(encoded: str) -> np.ndarray:
    """The mask of an inpainted picture's recipe."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))) > 127


def checked_mask(mask: np.ndarray, image: np.ndarray, picture: Path) -> np.ndarray:
    if mask.shape != image.shape[:2]:
        raise FullcastError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]} pixels and {picture.name} {image.shape[1]}x{image.shape[0]}; "
            "give a mask of the picture's size"
        )
    if not mask.any():
        raise FullcastError("the mask is empty: nothing would be painted; make white what should be painted again")
    return mask.astype(bool)


def check_strength(strength: float) -> None:
    if not 0 < strength <= 1:
        raise FullcastError(
            f"strength is {strength}; give more than 0 and at most 1 (near 0 keeps the part, 1 paints it anew)"
        )


def pad(array: np.ndarray, multiple: int) -> np.ndarray:
    """Right and bottom edges repeated until both sides are multiples."""
    down, right = -array.shape[0] % multiple, -array.shape[1] % multiple
    return np.pad(array, ((0, down), (0, right), *[(0, 0)] * (array.ndim - 2)), mode="edge")


def latent_mask(mask: np.ndarray, size: tuple[int, int] | torch.Size) -> torch.Tensor:
    """(H, W) bool -> (1, 1, h, w) float: 1 for every latent under which a single pixel is to be painted."""
    return F.adaptive_max_pool2d(torch.from_numpy(mask)[None, None].float(), tuple(size))


def paste(image: np.ndarray, painted: np.ndarray, mask: np.ndarray, feather: int) -> np.ndarray:
    """`painted` inside the mask, fading in over `feather` pixels from its edge; outside the very bytes of `image`."""
    weight, eroded = mask.astype(np.float64), mask
    for _ in range(feather):
        eroded = erode(eroded)
        weight += eroded
    weight = (weight / (feather + 1))[..., None]
    mixed = np.rint(weight * painted + (1 - weight) * image).astype(np.uint8)
    return np.where(mask[..., None], mixed, image)


def erode(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose eight neighbours are all inside; the picture's edge counts as inside."""
    around = np.pad(mask, 1, constant_values=True)
    h, w = mask.shape
    return np.all([around[y : y + h, x : x + w] for y in range(3) for x in range(3)], axis=0)
