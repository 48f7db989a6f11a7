"""Initial steps, measured on the values they will quantize."""

import math

import torch
from torch import Tensor

from bitswitch.quant.grid import at_least_float32

_GOLDEN = 0.6180339887498949
"""Multiples of this share of a whole, taken modulo the whole, spread most evenly."""
_MOST_VALUES = 2**18
"""A quantile of more values than this is taken from so many."""
_MOST_FITTED = 2**15
"""So many values are fitted by a grid."""
_FITTED_SHARES = (1.0, 0.6, 0.3)
"""Shares of the range on either side of the mean that the starting grids of the fit cover."""
_FITTING_ROUNDS = 25


def three_sigma_step(weight: Tensor, bits: int, per_channel: bool = False) -> Tensor:
    """Return max(|mean - 3 std|, |mean + 3 std|) / 2^(bits-1).

    A single value has no deviation: there the step is its magnitude over 2^(bits-1).

    Args:
        weight: Float weights [out, in, ...].
        bits: Bit-width of the grid.
        per_channel: One step per output channel [out, 1, ...] instead of a single number.

    Source: the public code of huang2025nearly.
    """
    rows = at_least_float32(weight.detach()).reshape(len(weight) if per_channel else 1, -1)
    mean = rows.mean(1)
    spread = 3 * rows.std(1, correction=min(1, rows.shape[1] - 1))
    step = torch.maximum((mean - spread).abs(), (mean + spread).abs()) / 2 ** (bits - 1)
    shape = [-1, *[1] * (weight.dim() - 1)] if per_channel else []
    return measured(step).reshape(shape)


def sampled(values: Tensor, most: int) -> Tensor:
    """Return at most ``most`` of ``values`` [n], spread evenly, extremes among them.

    Places are multiples of a number prime to n, modulo n. Every k-th value would do worse: where k
    and the sides of images have a factor in common, it comes from the same columns of all of them.
    The smallest and the largest of all take the places of those of the sample, so that each value
    counts once. Where there are no more than ``most``, these are the values themselves.
    """
    count = values.numel()
    if count <= most:
        return values
    step = round(_GOLDEN * count)
    while math.gcd(step, count) > 1:
        step += 1
    sample = values[torch.arange(most, device=values.device) * step % count]
    ends = values.aminmax()
    low, high = sample.argmin(), sample.argmax()
    high = torch.where(high == low, (low + 1) % len(sample), high)  # all of the sample are equal
    return sample.scatter_(0, torch.stack([low, high]), torch.stack(ends))


def mean_step(mean: Tensor, high: int) -> Tensor:
    """Return 2 mean / sqrt(high), the step for values of that mean magnitude.

    Source: esser2020learned, section 2.1.
    """
    return 2 * mean / math.sqrt(high)


def percentile_range(values: Tensor) -> Tensor:
    """Return the distance from the 0.1 % to the 99.9 % quantile of ``values`` [n].

    Where that is zero (almost all values equal), the largest magnitude.
    """
    low, high = torch.quantile(sampled(values, _MOST_VALUES), values.new_tensor([0.001, 0.999]))
    return torch.where(high > low, high - low, values.abs().max())


def least_squares_grid(values: Tensor, high: int) -> tuple[Tensor, Tensor]:
    """Return step and offset of a grid with codes 0 to ``high`` that fits ``values`` closely.

    From several starting grids, two moves alternate that can only lower the mean squared error:
    nearest codes for the values, and the least-squares step and offset for these codes. The best
    of the local optima is returned.

    Args:
        values: [n]; where they are not finite, the grid is 1 and 0.
        high: Largest code.

    Returns:
        Step, positive, and offset, both 0-d and of the precision of ``values``, float32 at least.

    Source: bhalgat2020lsq (the objective; the publication minimises it by gradient descent).
    """
    x = at_least_float32(values.detach()).flatten()
    kept = x.dtype
    x = sampled(x, _MOST_FITTED).double()
    shares, centre = x.new_tensor(_FITTED_SHARES), x.mean()
    ends = [centre + shares * (end - centre) for end in (x.min(), x.max())]
    low, top = torch.cartesian_prod(*ends).T[..., None]
    step, offset = measured((top - low) / high), low
    for _ in range(_FITTING_ROUNDS):
        codes = _nearest(x, step, offset, high)
        deviation = codes - codes.mean(1, keepdim=True)
        slope = (deviation * x).sum(1, keepdim=True) / deviation.square().sum(1, keepdim=True)
        step = torch.where(slope > 0, slope, step)  # NaN where all codes are equal
        offset = centre - step * codes.mean(1, keepdim=True)
    error = (step * _nearest(x, step, offset, high) + offset - x).square().mean(1)
    best = error.argmin()[None]
    found = (part[:, 0].index_select(0, best)[0].to(kept) for part in (step, offset))
    step, offset = (torch.where(x.isfinite().all(), part, torch.nan) for part in found)
    return measured(step), offset.nan_to_num(0.0)


def _nearest(x: Tensor, step: Tensor, offset: Tensor, high: int) -> Tensor:
    return ((x - offset) / step).round_().clamp_(0, high)


def measured(step: Tensor) -> Tensor:
    """Return ``step`` where it is positive and finite, 1 where nothing could be measured.

    >>> measured(torch.tensor([0.5, 0.0, float("nan")]))
    tensor([0.5000, 1.0000, 1.0000])
    """
    return torch.where(step.isfinite() & (step > 0), step, torch.ones_like(step))
