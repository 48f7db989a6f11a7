"""Uniform grids: real values to codes. Pure arithmetic, the same in training and deployment."""

from collections.abc import Callable

import torch
from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.quant.quantizer import Number

Rounding = Callable[[Tensor, Number], Tensor]
"""Rounds a scratch tensor of clipped codes in place, given 2 ** (widest - bits)."""


def half_even(codes: Tensor, ratio: Number) -> Tensor:
    """Return ``codes`` rounded once to the nearest integer, ties to even."""
    return codes.round_()


def floor(codes: Tensor, ratio: Number) -> Tensor:
    """Return the integers below ``codes``."""
    return codes.floor_()


def half_even_twice(codes: Tensor, ratio: Number) -> Tensor:
    """Return ``codes`` rounded on the widest grid, then on their own.

    Source: huang2025nearly, Eq. 1-2. Scaling by a power of two is exact, so this equals rounding
    ``x / scale``, dividing by ``ratio`` and rounding again.
    """
    return codes.mul_(ratio).round_().div_(ratio).round_()


def half_even_then_floor(codes: Tensor, ratio: Number) -> Tensor:
    """Return ``codes`` rounded on the widest grid, then shifted right arithmetically."""
    return codes.mul_(ratio).round_().div_(ratio).floor_()


def clip_(values: Tensor, low: Number, high: Number) -> Tensor:
    """Clip ``values`` in place; NaN stays NaN."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return values.clamp_min_(low).clamp_max_(high)
    return values.clamp_(low, high)


def grid_codes(
    x: Tensor,
    step: Tensor,
    low: Number,
    high: Number,
    rounding: Rounding = half_even,
    ratio: Number = 1.0,
) -> Tensor:
    """Return the codes of ``x``: integers in ``[low, high]``, as floats.

    Every rounding is monotone and leaves integers alone, so clipping first gives the same codes
    as clipping last and needs no second clip.

    Args:
        x: Real values, any shape; NaN stays NaN, infinities go to the bounds.
        step: Worth of one code, in units of ``x``, positive; broadcasts to ``x``.
        low: Smallest code.
        high: Largest code.
        rounding: How a code becomes an integer.
        ratio: 2 ** (widest - bits), for roundings that pass through the widest grid.

    >>> grid_codes(torch.tensor([-9.0, 0.6, 1.5]), torch.tensor(1.0), -2.0, 1.0)
    tensor([-2.,  1.,  1.])
    """
    return rounding(clip_(x / step, low, high), ratio)


def integers(codes: Tensor) -> Tensor:
    """Return float ``codes`` as int32.

    Raises:
        EncodingError: a code is NaN.
    """
    if codes.isnan().any():
        raise EncodingError(
            "NaN has no integer code: the values to encode, or their scale, are not finite.\n"
            "  A diverged training leaves such weights; encode a checkpoint from before."
        )
    return codes.to(torch.int32)
