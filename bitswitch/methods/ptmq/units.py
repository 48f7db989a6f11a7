"""Cut a quantized network into parts that can be worked on one at a time."""

from collections import Counter
from contextlib import suppress

import torch
from torch import Tensor, nn

from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel

_CONTAINERS = (nn.Sequential, nn.ModuleList)


def switchable_layers(module: nn.Module) -> list[QuantizedLayer]:
    """Return the quantized layers of ``module`` whose bit-widths a policy sets, in order."""
    return [m for m in module.modules() if isinstance(m, QuantizedLayer) and m.pinned is None]


def units(net: nn.Module) -> list[nn.Module]:
    """Return blocks, and layers outside of blocks, that hold all switchable layers of ``net``.

    A block is a module that holds such layers and whose class occurs more than once: residual and
    inverted residual blocks. Where blocks lie inside others, the outer ones are returned.

    Args:
        net: With quantized layers, each unit of which reads one tensor.
    """
    kinds = Counter(type(module) for module in net.modules())

    def search(module: nn.Module) -> list[nn.Module]:
        if not switchable_layers(module):
            return []
        repeated = kinds[type(module)] > 1 and type(module) not in _CONTAINERS
        if isinstance(module, QuantizedLayer) or repeated:
            return [module]
        return [unit for child in module.children() for unit in search(child)]

    return search(net)


class _Reached(Exception):  # noqa: N818  # no error: what comes after the unit is not needed
    """The unit has been run."""


@torch.no_grad()
def features(
    model: QuantizedModel, unit: nn.Module, images: Tensor, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Return input and output [n, ...] of ``unit`` as ``model`` runs on ``images`` [n, ...].

    Args:
        model: At the bit-widths of interest.
        unit: One of its modules, which reads one tensor.
        images: As the network takes them.
        batch_size: So many go through the network at a time.
    """
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((inputs[0], output))
        raise _Reached

    handle = unit.register_forward_hook(keep)
    try:
        for part in torch.split(images, batch_size):
            with suppress(_Reached):
                model(part)
    finally:
        handle.remove()
    inputs, outputs = zip(*seen, strict=True)
    return torch.cat(inputs), torch.cat(outputs)
