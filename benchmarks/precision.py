"""A training step of the pocket base in float32 and in bfloat16, as ratios inside one run: pairs in turn, medians.

python -m benchmarks.precision [pairs]

Eight pictures of five people each, their words bound to regions, as `recipes/two-hours.toml` trains; one thread.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from fullcast.diffusion.regions import box_masks
from fullcast.journey.doors import WEIGHTS_DIR
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.torch_device import fast_bf16
from fullcast.training.binding import bound
from fullcast.training.config import TrainingConfig
from fullcast.training.muon import is_matrix, orthogonal
from fullcast.training.step import Network, Prepared, loss_of

BATCH, NAMES = 8, ("aoi", "mio", "ken", "yui", "ran")


def ready_of(model: StableDiffusion) -> Prepared:
    """Noise in the place of latents: only the time is asked."""
    draw = torch.Generator().manual_seed(0)
    shape = (BATCH, *model.latent_shape(144, 64))
    latents, noise = torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)
    captions = ["5 people, " + ", ".join(NAMES)] * BATCH
    alone = [[f"1 person, {name}, park" for name in NAMES]] * BATCH
    masks = box_masks([(i / 5, 0.3, (i + 1) / 5, 1.0) for i in range(5)], *shape[2:])
    ids = model.token_ids([words for row in alone for words in row])
    return Prepared(
        latents,
        noise,
        torch.randint(0, 1000, (BATCH,), generator=draw),
        captions,
        torch.ones(BATCH),
        model.token_ids(captions),
        region_ids=ids.reshape(BATCH, 5, -1),
        region_masks=torch.stack([masks] * BATCH),
        region_captions=alone,
    )


def main(pairs: int) -> None:
    torch.set_num_threads(1)
    device = torch.device("cpu")
    model = StableDiffusion.load(WEIGHTS_DIR / "pocket-base")
    model.for_training(device, text_encoder=True)
    network, ready, power = Network(model, train_text=True), ready_of(model), model.alphas_cumprod()
    seconds: dict[str, list[float]] = {"no": [], "bf16": []}
    for _ in range(pairs + 1):
        for precision, times in seconds.items():
            config = TrainingConfig(region_share=0.9, region_global=0.1, mixed_precision=precision)
            began = time.perf_counter()
            with bound(model, ready, config):
                loss_of(network, model, ready, power, config).backward()
            times.append(time.perf_counter() - began)
            network.zero_grad()
    found = {name: np.array(times[1:]) for name, times in seconds.items()}  # the first pair warms up
    print(f"AMX or tensor cores: {fast_bf16(device)}; {pairs} pairs, {BATCH} pictures of 144x64, one thread")
    tell("forward and backward", found["no"], found["bf16"])
    matrices = [torch.randn(len(p), p.numel() // len(p)) for n, p in model.parameters("denoiser") if is_matrix(n, p)]
    muon(matrices, pairs)


def muon(matrices: list[torch.Tensor], pairs: int) -> None:
    """The matrices of one size made orthogonal together, and one after another."""
    alike: dict[torch.Size, list[torch.Tensor]] = {}
    for matrix in matrices:
        alike.setdefault(matrix.shape, []).append(matrix)
    stacks = [torch.stack(group) for group in alike.values()]
    single, together = [], []
    for _ in range(pairs + 1):
        began = time.perf_counter()
        for matrix in matrices:
            orthogonal(matrix[None])
        middle = time.perf_counter()
        for stack in stacks:
            orthogonal(stack)
        single.append(middle - began)
        together.append(time.perf_counter() - middle)
    tell("Muon: one by one / together", np.array(single[1:]), np.array(together[1:]))


def tell(what: str, slow: np.ndarray, fast: np.ndarray) -> None:
    ratios = slow / fast
    low, high = np.percentile(ratios, [10, 90])
    print(f"{what}: {np.median(slow) * 1e3:.0f} and {np.median(fast) * 1e3:.0f} ms, ", end="")
    print(f"{np.median(ratios):.2f} times as fast ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
