"""How long each image's own gradient to a layer's weight is."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

Norms = Callable[[Tensor], Tensor]
"""Maps gradients [n, ...] to a layer's output to [n] squared norms of those to its weight."""


def squared_norms(layer: nn.Module, inputs: Tensor, outputs: torch.Size) -> Norms:
    """Return what measures the gradients of n images to ``layer.weight``.

    Either the gradients are made one by one, or their norms come from how alike the positions of an
    image are, in the layer's input and in the gradient to its output; the second costs less where
    there are few positions, and no weight-sized tensor is written.

    Args:
        layer: A convolution, or a linear layer.
        inputs: What it read [n, ...].
        outputs: Shape of what it made of that [n, ...].
    """
    if isinstance(layer, nn.Conv2d):
        positions = outputs[2] * outputs[3]
        padded = _padded(layer, inputs)
        if _few(positions, layer.weight[0].numel(), layer.out_channels // layer.groups):
            return _by_positions(_patches(layer, padded), layer.groups, channels_last=False)
        return _one_by_one(layer, padded)
    assert isinstance(layer, nn.Linear)
    rows = inputs.reshape(len(inputs), 1, -1, layer.in_features)
    if _few(rows.shape[2], layer.in_features, layer.out_features):
        return _by_positions(rows, 1, channels_last=True)
    return lambda gradient: _linear_norms(rows[:, 0], gradient)


def _few(positions: int, inputs: int, outputs: int) -> bool:
    """Whether positions x positions x (inputs + outputs) products are the fewer."""
    return positions * (inputs + outputs) < inputs * outputs


def _by_positions(rows: Tensor, groups: int, channels_last: bool) -> Norms:
    """Return what uses that ||G^T R||^2 is the sum of all elements of (R R^T) * (G G^T).

    Args:
        rows: What the positions of each image read [n, groups, positions, inputs].
        groups: Of the gradient's channels.
        channels_last: Whether gradients are [n, ..., outputs]; otherwise [n, outputs, ...].
    """
    likeness = rows @ rows.mT
    count, _, positions, _ = rows.shape

    def norms(gradient: Tensor) -> Tensor:
        if channels_last:
            columns = gradient.reshape(count, groups, positions, -1)
        else:
            columns = gradient.reshape(count, groups, -1, positions).mT
        return (likeness * (columns @ columns.mT)).sum((1, 2, 3))

    return norms


def _one_by_one(layer: nn.Conv2d, padded: Tensor) -> Norms:
    """Return what makes the gradient to a convolution's weight for one image after the other."""
    # Weight gradients of one image are made faster from channels that come first in memory.
    images = torch.split(padded.contiguous(), 1)

    def norm(image: Tensor, gradient: Tensor) -> Tensor:
        made = conv2d_weight(  # type: ignore[no-untyped-call]
            image,
            layer.weight.shape,
            gradient,
            stride=layer.stride,
            dilation=layer.dilation,
            groups=layer.groups,
        )
        result: Tensor = made.square().sum()
        return result

    def norms(gradient: Tensor) -> Tensor:
        parts = torch.split(gradient.contiguous(), 1)
        return torch.stack([norm(*pair) for pair in zip(images, parts, strict=True)])

    return norms


def _linear_norms(rows: Tensor, gradient: Tensor) -> Tensor:
    """Return the norms for a linear layer that read ``rows`` [n, positions, inputs]."""
    columns = gradient.reshape(*rows.shape[:2], -1)
    return (columns.mT @ rows).square().sum((1, 2))


def _padded(layer: nn.Conv2d, inputs: Tensor) -> Tensor:
    """Return the input of a convolution as its kernel sees it."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode)


def _patches(layer: nn.Conv2d, padded: Tensor) -> Tensor:
    """Return what every position of the output reads [n, groups, positions, inputs]."""
    patches = functional.unfold(
        padded,
        layer.kernel_size,
        dilation=layer.dilation,
        stride=layer.stride,
    )
    return patches.view(len(padded), layer.groups, -1, patches.shape[2]).mT
