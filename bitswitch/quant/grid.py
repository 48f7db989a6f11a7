"""Uniform grids: real values to codes. Pure arithmetic, the same in training and deployment."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.quant.granularity import grouped, ungrouped
from bitswitch.quant.quantizer import Number
from bitswitch.runtime import transfers

Rounding = Literal["double", "cascade", "shift", "single", "floor"]
"""How a code becomes an integer. ``double``: rounded on the widest grid, then on its own.
``cascade``: rounded on the widest grid, then bit by bit on every coarser one down to its own.
``shift``: rounded on the widest grid, then floored on its own. ``single``: rounded once.
``floor``: floored once. Rounding is to nearest, ties to even."""


def _double(codes: Tensor, ratio: Number) -> Tensor:
    return codes.mul_(ratio).round_().div_(ratio).round_()


def _cascade(codes: Tensor, ratio: Number) -> Tensor:
    """Halve and round to even until the ratio is used up, in one go.

    A tie goes to the even code, and the next halving may move that on to a multiple of four: in the
    end a code goes to an even one if it is less than 2/3 away, to an odd one within 1/3.
    """
    codes.mul_(ratio).round_().div_(ratio)
    even = codes.div(2).floor_().mul_(2)
    return codes.sub_(even).mul_(1.5).floor_().add_(even)


def _shift(codes: Tensor, ratio: Number) -> Tensor:
    return codes.mul_(ratio).round_().div_(ratio).floor_()


def _single(codes: Tensor, ratio: Number) -> Tensor:
    return codes.round_()


def _floor(codes: Tensor, ratio: Number) -> Tensor:
    return codes.floor_()


ROUNDINGS: dict[Rounding, Callable[[Tensor, Number], Tensor]] = {
    "double": _double,
    "cascade": _cascade,
    "shift": _shift,
    "single": _single,
    "floor": _floor,
}
"""Round clipped codes in place, given 2 ** (widest - bits); scaling by that is exact."""


def at_least_float32(values: Tensor) -> Tensor:
    """Return ``values`` in float32, or in float64 where they are; a grid needs that precision.

    >>> at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def clip(values: Tensor, low: Number, high: Number, out: Tensor | None = None) -> Tensor:
    """Return ``values`` clipped to ``[low, high]``, in ``out`` if given; NaN stays NaN."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return values.clamp_min(low).clamp_max(high)
    return torch.clamp(values, low, high, out=out)


def grid_codes(
    x: Tensor,
    scale: Tensor,
    low: Number,
    high: Number,
    rounding: Rounding = "single",
    ratio: Number = 1.0,
) -> Tensor:
    """Return the codes of ``x``: integers in ``[low, high]``, as floats.

    Every rounding is monotone and leaves integers alone, so clipping first gives the same codes
    as clipping last and needs no second clip.

    Args:
        x: Real values, any shape; NaN stays NaN, infinities go to the bounds.
        scale: Distance of two codes in units of ``x``, positive; broadcasts to ``x``, or is one
            per group (``PerGroup``).
        low: Smallest code.
        high: Largest code.
        rounding: How a code becomes an integer.
        ratio: 2 ** (widest - bits), for roundings that pass through the widest grid.

    >>> grid_codes(torch.tensor([-9.0, 0.6, 1.5]), torch.tensor(1.0), -2.0, 1.0)
    tensor([-2.,  1.,  1.])
    """
    values, scale = grouped(x, scale)
    ratios = values / scale
    return ungrouped(ROUNDINGS[rounding](clip(ratios, low, high, out=ratios), ratio), x)


def integers(codes: Tensor) -> Tensor:
    """Return float ``codes`` as int32.

    Raises:
        EncodingError: a code is NaN.
    """
    if not transfers.to_host(codes.isfinite().all()):
        raise EncodingError(
            "NaN has no integer code: the values to encode, or their scale, are not finite.\n"
            "  A diverged training leaves such weights; encode a checkpoint from before."
        )
    return codes.to(torch.int32)
