"""Layers in the order they run, and second moments of their inputs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel

Watch = Callable[[str, Tensor], None]
"""Is told the name of a layer and its input."""


class _Reached(Exception):  # noqa: N818  # no error: what comes after is not needed
    """All layers of interest have been seen."""


class Moments(NamedTuple):
    """Sum of products of the inputs of one layer."""

    total: Tensor
    """[blocks, columns, columns]."""
    examples: int
    """How many there were: images, or windows of text."""

    @property
    def hessian(self) -> Tensor:
        """Of the squared error of one output, summed over an example."""
        return self.total * (2.0 / self.examples)


@torch.no_grad()
def fit_in_order(
    model: QuantizedModel,
    inputs: Sequence[Tensor],
    fit: Callable[[QuantizedLayer, Tensor], None],
) -> None:
    """Call ``fit`` with every switchable layer and the Hessian of its inputs, first to last.

    What a layer sees has passed the layers before it as ``fit`` left them. Layers that read the
    same tensor, one after another, are fitted together.

    Args:
        model: In evaluation mode, at the bit-widths of interest.
        inputs: Batches [n, ...] as the network takes them.
        fit: Changes the weights that a layer uses.

    Source: frantar2023gptq, section 4.
    """
    for names in stages(model, inputs[0]):
        found = moments(model, names, inputs)
        for name in names:
            fit(model.layers[name], found[name].hessian)


@torch.no_grad()
def stages(model: QuantizedModel, inputs: Tensor) -> list[list[str]]:
    """Return the switchable layers by the tensor they read, in the order they first run."""
    found: list[list[str]] = []
    last: list[Tensor] = []
    known: set[str] = set()

    def note(name: str, x: Tensor) -> None:
        if name in known:
            return
        known.add(name)
        if last and x is last[0]:
            found[-1].append(name)
        else:
            found.append([name])
        last[:] = [x]

    with _watching(model, list(model.layers), note):
        model(inputs)
    return found


@torch.no_grad()
def moments(
    model: QuantizedModel, names: Sequence[str], inputs: Iterable[Tensor]
) -> dict[str, Moments]:
    """Return second moments of what the layers ``names`` see, which run one after another."""
    found: dict[str, Moments] = {}
    missing: set[str] = set()

    def add(name: str, x: Tensor) -> None:
        rows = columns_of(model.layers[name], x)
        total = rows.mT @ rows
        before = found.get(name, Moments(torch.zeros_like(total), 0))
        found[name] = Moments(before.total + total, before.examples + len(x))
        missing.discard(name)
        if not missing:
            raise _Reached

    with _watching(model, names, add):
        for batch in inputs:
            missing.update(names)
            with suppress(_Reached):
                model(batch)
    return found


def columns_of(layer: nn.Module, x: Tensor) -> Tensor:
    """Return what the rows of a layer's weight are multiplied with, [blocks, rows, columns].

    Args:
        layer: Linear, one block; or a convolution, a block for each of its groups.
        x: Its input.
    """
    if not isinstance(layer, nn.Conv2d):
        return x.float().reshape(1, -1, x.shape[-1])
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = nn.functional.pad(x.float(), layer._reversed_padding_repeated_twice, mode)
    patches = nn.functional.unfold(padded, layer.kernel_size, layer.dilation, 0, layer.stride)
    by_group = patches.reshape(len(x), layer.groups, -1, patches.shape[-1])
    columns: Tensor = by_group.permute(1, 0, 3, 2).flatten(1, 2)
    return columns


def blocks_of(layer: nn.Module, weight: Tensor) -> Tensor:
    """Return ``weight`` [out, in, ...] of a layer as [blocks, rows, columns], float32."""
    blocks = layer.groups if isinstance(layer, nn.Conv2d) else 1
    return weight.detach().float().reshape(blocks, len(weight) // blocks, -1)


@contextmanager
def _watching(model: QuantizedModel, names: Sequence[str], watch: Watch) -> Iterator[None]:
    """Show the inputs of the layers ``names`` while the ``with`` block runs the network."""

    def hook(name: str) -> Any:
        return lambda module, inputs: watch(name, inputs[0])

    handles = [model.layers[name].register_forward_pre_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
