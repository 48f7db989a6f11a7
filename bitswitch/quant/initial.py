"""Initial steps, measured on the values they will quantize."""

import math

import torch
from torch import Tensor

_MOST_VALUES = 2**18
"""A quantile of more values than this is taken from evenly spaced ones."""


def three_sigma_step(weight: Tensor, bits: int, per_channel: bool = False) -> Tensor:
    """Return max(|mean - 3 std|, |mean + 3 std|) / 2^(bits-1).

    A single value has no deviation: there the step is its magnitude over 2^(bits-1).

    Args:
        weight: Float weights [out, in, ...].
        bits: Bit-width of the grid.
        per_channel: One step per output channel [out, 1, ...] instead of a single number.

    Source: the public code of huang2025nearly.
    """
    rows = weight.detach().float().reshape(len(weight) if per_channel else 1, -1)
    mean = rows.mean(1)
    spread = 3 * rows.std(1, correction=min(1, rows.shape[1] - 1))
    step = torch.maximum((mean - spread).abs(), (mean + spread).abs()) / 2 ** (bits - 1)
    shape = [-1, *[1] * (weight.dim() - 1)] if per_channel else []
    return measured(step).reshape(shape)


def mean_step(mean: Tensor, high: int) -> Tensor:
    """Return 2 mean / sqrt(high), the step for values of that mean magnitude.

    Source: esser2020learned, section 2.1.
    """
    return 2 * mean / math.sqrt(high)


def percentile_range(values: Tensor) -> Tensor:
    """Return the distance from the 0.1 % to the 99.9 % quantile of ``values`` [n].

    Where that is zero (almost all values equal), the largest magnitude.
    """
    every = -(-values.numel() // _MOST_VALUES)
    low, high = torch.quantile(values[::every], values.new_tensor([0.001, 0.999]))
    return torch.where(high > low, high - low, values.abs().max())


def measured(step: Tensor) -> Tensor:
    """Return ``step`` where it is positive and finite, 1 where nothing could be measured.

    >>> measured(torch.tensor([0.5, 0.0, float("nan")]))
    tensor([0.5000, 1.0000, 1.0000])
    """
    return torch.where(step.isfinite() & (step > 0), step, torch.ones_like(step))
