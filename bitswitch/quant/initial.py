"""Initial scales, measured on the values they will quantize."""

import math

import torch
from torch import Tensor

from bitswitch.quant.granularity import PER_TENSOR, Granularity
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


def three_sigma_scale(weight: Tensor, bits: int, granularity: Granularity = PER_TENSOR) -> Tensor:
    """Return max(|mean - 3 std|, |mean + 3 std|) / 2^(bits-1) of the weights that share a scale.

    A single value has no deviation: there the scale is its magnitude over 2^(bits-1).

    Args:
        weight: Float weights [out, in, ...].
        bits: Bit-width of the grid.
        granularity: Which weights share a scale; it says the shape of the scales.

    Source: the public code of huang2025nearly.
    """
    rows = granularity.rows(at_least_float32(weight.detach()))
    mean = rows.mean(1)
    spread = 3 * rows.std(1, correction=min(1, rows.shape[1] - 1))
    scale = torch.maximum((mean - spread).abs(), (mean + spread).abs()) / 2 ** (bits - 1)
    return measured(scale).reshape(granularity.scale_shape(weight.shape))


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
    stride = round(_GOLDEN * count)
    while math.gcd(stride, count) > 1:
        stride += 1
    sample = values[torch.arange(most, device=values.device) * stride % count]
    ends = values.aminmax()
    low, high = sample.argmin(), sample.argmax()
    high = torch.where(high == low, (low + 1) % len(sample), high)  # all of the sample are equal
    return sample.scatter_(0, torch.stack([low, high]), torch.stack(ends))


def mean_scale(mean: Tensor, high: int) -> Tensor:
    """Return 2 mean / sqrt(high), the scale for values of that mean magnitude.

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
    """Return scale and zero point of a grid with codes 0 to ``high`` that fits ``values`` closely.

    From several starting grids, two moves alternate that can only lower the mean squared error:
    nearest codes for the values, and the least-squares scale and zero point for these codes. The
    best of the local optima is returned.

    Args:
        values: [n]; where they are not finite, the grid is 1 and 0.
        high: Largest code.

    Returns:
        Scale, positive, and zero point (in units of ``values``), both 0-d and of the precision of
        ``values``, float32 at least.

    Source: bhalgat2020lsq (the objective; the publication minimises it by gradient descent).
    """
    x = at_least_float32(values.detach()).flatten()
    kept = x.dtype
    x = sampled(x, _MOST_FITTED).double()
    shares, centre = x.new_tensor(_FITTED_SHARES), x.mean()
    ends = [centre + shares * (end - centre) for end in (x.min(), x.max())]
    low, top = torch.cartesian_prod(*ends).T[..., None]
    scale, zero_point = measured((top - low) / high), low
    for _ in range(_FITTING_ROUNDS):
        codes = _nearest(x, scale, zero_point, high)
        deviation = codes - codes.mean(1, keepdim=True)
        slope = (deviation * x).sum(1, keepdim=True) / deviation.square().sum(1, keepdim=True)
        scale = torch.where(slope > 0, slope, scale)  # NaN where all codes are equal
        zero_point = centre - scale * codes.mean(1, keepdim=True)
    error = (scale * _nearest(x, scale, zero_point, high) + zero_point - x).square().mean(1)
    best = error.argmin()[None]
    found = (part[:, 0].index_select(0, best)[0].to(kept) for part in (scale, zero_point))
    scale, zero_point = (torch.where(x.isfinite().all(), part, torch.nan) for part in found)
    return measured(scale), zero_point.nan_to_num(0.0)


def _nearest(x: Tensor, scale: Tensor, zero_point: Tensor, high: int) -> Tensor:
    return ((x - zero_point) / scale).round_().clamp_(0, high)


def measured(scale: Tensor) -> Tensor:
    """Return ``scale`` where it is positive and finite, 1 where nothing could be measured.

    >>> measured(torch.tensor([0.5, 0.0, float("nan")]))
    tensor([0.5000, 1.0000, 1.0000])
    """
    return torch.where(scale.isfinite() & (scale > 0), scale, torch.ones_like(scale))
