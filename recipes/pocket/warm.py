"""Going on from what ships: weights of an exported ONNX file back in the network that it came from.

State under `$FULLCAST_STATE` is lost now and then; the shipped files are not. Export folds every batch norm into the
convolution before it, so the norms come back by measuring: each takes over the spread of one large batch, and undoes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn


def folded_weights(path: Path) -> list[dict[str, np.ndarray]]:
    """[{"weight", "bias"}] of every convolution and matrix product, in the order in which the graph runs them."""
    graph = onnx.load(str(path)).graph
    values = {t.name: numpy_helper.to_array(t).astype(np.float32) for t in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    found: list[dict[str, np.ndarray]] = []
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            names = ("weight", "bias")
            found.append({n: values[i] for n, i in zip(names, node.input[1:], strict=False)})
    return found


def scalars(path: Path) -> list[float]:
    """Learned single numbers that the graph multiplies by, in its order."""
    graph = onnx.load(str(path)).graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer if int(np.prod(t.dims)) == 1}
    return [float(values[n.input[1]].item()) for n in graph.node if n.op_type == "Mul" and n.input[1] in values]


def from_onnx(net: nn.Module, path: Path, example: Tensor) -> None:
    """Fills `net` from the file; `example`: a large batch of real input, for the batch norms. ValueError if it differs."""
    source = iter(folded_weights(path))
    seen: set[nn.Module] = set()

    def take(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        folded = None if isinstance(module, nn.BatchNorm2d) else next(source)
        if module in seen:  # one layer at several strides
            return
        seen.add(module)
        if folded is None:
            std, mean = torch.std_mean(inputs[0], (0, 2, 3))
            module.weight.copy_((std.square() + module.eps).sqrt())
            module.bias.add_(mean)  # it holds the folded bias
            module.running_mean.copy_(mean)
            module.running_var.copy_(std.square())
        else:
            if folded["weight"].shape != tuple(module.weight.shape):
                raise ValueError(f"{path.name}: {folded['weight'].shape} where {tuple(module.weight.shape)} is wanted")
            module.weight.copy_(torch.from_numpy(folded["weight"]))
            target = module.bias if module.bias is not None else norm_after[module].bias
            target.copy_(torch.from_numpy(folded["bias"]))

    norm_after = _norms(net)
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    hooks = [m.register_forward_pre_hook(take) for m in net.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        net.train()(example)
    for hook in hooks:
        hook.remove()


def _norms(net: nn.Module) -> dict[nn.Module, nn.BatchNorm2d]:
    """Convolution -> the batch norm right behind it."""
    found: dict[nn.Module, nn.BatchNorm2d] = {}
    for module in net.modules():
        if isinstance(module, nn.Sequential):
            parts = list(module)
            for a, b in zip(parts, parts[1:], strict=False):
                if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d):
                    found[a] = b
    return found
