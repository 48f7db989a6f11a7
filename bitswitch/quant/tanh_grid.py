"""Straight-through training on a grid of tanh-normalised weights."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bitswitch.quant.quantizer import Number

Scheme = Literal["original", "modified", "centered"]
"""The grid on [-1, 1]. ``original``: 2^b points from end to end, the nearest one.
``modified``: 2^b cells of equal width, the lower end of the cell. ``centered``: its middle."""

Rescale = Literal["none", "mean", "constant", "stddev"]
"""What multiplies the grid, a constant to the gradient. ``mean``: mean|w|. ``constant``: such that
the deviation is 1 / sqrt(weights per input channel). ``stddev``: such that it is that of w."""


def on_tanh_grid(
    weight: Tensor, scheme: Scheme, rescale: Rescale, levels: Number, half: Number
) -> Tensor:
    """Return the values of ``tanh_codes(weight, ...)`` with straight-through gradients.

    The gradient passes rounding unchanged; through tanh and its maximum it is exact.

    Args:
        weight: [out, in, ...].
        scheme: The grid.
        rescale: What multiplies it.
        levels: 2^b - 1.
        half: 2^(b-1).

    Source: zhou2016dorefa, section 2.3.
    """
    result: Tensor = _OnTanhGrid.apply(weight, scheme, rescale, levels, half)
    return result


def tanh_codes(weight: Tensor, scheme: Scheme, levels: Number, half: Number) -> Tensor:
    """Return signed codes of ``weight``: integers in ``[-half, half - 1]``, as floats.

    Args:
        weight: Any shape; NaN makes all codes NaN, all zeros are in the middle of the grid.
        scheme: The grid.
        levels: 2^b - 1.
        half: 2^(b-1).

    >>> tanh_codes(torch.tensor([-1.0, -0.1, 0.0, 1.0]), "centered", 3.0, 2.0)
    tensor([-2., -1.,  0.,  1.])
    """
    squashed = weight.tanh()
    twice = squashed.div_(_peak(squashed.abs())).add_(1)  # halving the factor instead is exact
    if scheme == "original":
        return twice.mul_(levels / 2).round_().sub_(half)
    return twice.mul_(half).floor_().sub_(half).clamp_(max=half - 1)


def grid_gain(
    weight: Tensor, codes: Tensor, scheme: Scheme, rescale: Rescale, levels: Number
) -> Tensor:
    """Return what multiplies the grid []; 1 where a deviation is asked for and there is none.

    Args:
        weight: [out, in, ...].
        codes: Those of ``weight``, as floats.
        scheme: The grid.
        rescale: Which multiplier.
        levels: 2^b - 1.

    Source: jin2020sat (``constant``, ``stddev``); yu2021anyprecision, its code (``mean``).
    """
    if rescale == "none":
        return weight.new_ones(())
    if rescale == "mean":
        return weight.abs().mean()
    deviation = _deviation(codes) * cell(scheme, levels)[0]
    wanted = _deviation(weight) if rescale == "stddev" else weight[:, 0].numel() ** -0.5
    return torch.where(deviation == 0, 1.0, wanted / deviation)


def cell(scheme: Scheme, levels: Number) -> tuple[Number, Number]:
    """Return scale and zero point of the grid on [-1, 1]; ``levels`` is 2^b - 1.

    >>> cell("centered", 3.0), cell("modified", 3.0)
    ((0.5, 0.25), (0.5, 0.0))
    """
    cells = levels if scheme == "original" else levels + 1
    return 2 / cells, 0.0 if scheme == "modified" else 1 / cells


def _peak(magnitudes: Tensor) -> Tensor:
    """Return the largest one, 1 where all are zero."""
    peak = magnitudes.amax()
    return torch.where(peak == 0, 1.0, peak)


def _deviation(values: Tensor) -> Tensor:
    """Return the unbiased standard deviation of all ``values``, 0 of a single one."""
    return values.std(correction=min(1, values.numel() - 1))


class _OnTanhGrid(torch.autograd.Function):
    """Keeps the weights alone, which are there anyway.

    Computing tanh again in backward costs a fixed time per weight; a copy of it would be as large
    as the weights until the backward pass of the layer.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, scheme: Scheme, rescale: Rescale, levels: Number, half: Number
    ) -> Tensor:
        codes = tanh_codes(weight, scheme, levels, half)
        gain = grid_gain(weight, codes, scheme, rescale, levels)
        ctx.save_for_backward(weight, gain)
        scale, zero_point = cell(scheme, levels)
        return codes.mul_(gain * scale).add_(gain * zero_point)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, gain = ctx.saved_tensors
        to_unit = grads[0] * gain
        squashed = weight.tanh()
        magnitudes = squashed.abs()
        peak = _peak(magnitudes)
        # The maximum is part of the derivative; weights that tie for it share its gradient.
        at_peak = torch.eq(magnitudes, peak, out=magnitudes)
        to_peak = (to_unit * squashed).sum() / (peak * peak * at_peak.sum().clamp_min(1))
        to_squashed = to_unit / peak - at_peak * squashed.sign() * to_peak
        return to_squashed * (1 - squashed * squashed), *[None] * 4
