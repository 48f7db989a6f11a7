"""Initial ranges by search: shrink the range of the values until the error is least."""

from typing import NamedTuple

import torch
from torch import Tensor

SHRINK = 0.01
"""Every candidate is this share of the full range narrower than the one before; EQ-Net's code."""


class Range(NamedTuple):
    """A grid for every row of values."""

    step: Tensor
    """Worth of one code, positive, [rows, 1]."""
    offset: Tensor
    """Worth of code zero, [rows, 1]."""


@torch.no_grad()
def search_range(
    rows: Tensor,
    ends: tuple[Tensor, Tensor],
    codes: tuple[float, float],
    centred: bool,
    candidates: int,
    power: float,
) -> Range:
    """Return the candidate grid with the least mean |quantized - value| ^ power in every row.

    Candidate i spans both ends times 1 - i / 100; of equal ones the widest is taken.

    Args:
        rows: Values [rows, n].
        ends: Where the full range begins and ends, [rows, 1] each.
        codes: Smallest and largest code.
        centred: Code zero is worth zero; otherwise the smallest code is worth the lower end.
        candidates: How many there are, 1 to 100.
        power: Exponent of the error.

    Source: xu2023eqnet, public code; nahshan2021loss (least error of each layer).
    """
    low, high = codes
    best = Range(torch.ones_like(ends[0]), torch.zeros_like(ends[0]))
    least = torch.full_like(ends[0], torch.inf)
    for index in range(candidates):
        start, end = (side * (1.0 - index * SHRINK) for side in ends)
        step = (end - start) / (high - low)
        step = torch.where(step > 0, step, torch.ones_like(step))
        offset = torch.zeros_like(step) if centred else start - step * low
        values = rows.sub(offset).div_(step).clamp_(low, high).round_().mul_(step).add_(offset)
        error = values.sub_(rows).abs_().pow_(power).mean(1, keepdim=True)
        better = error < least
        least = torch.where(better, error, least)
        best = Range(torch.where(better, step, best.step), torch.where(better, offset, best.offset))
    return best
