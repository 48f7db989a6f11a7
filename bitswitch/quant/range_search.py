"""Initial ranges by search: shrink the range of the values until the error is least."""

from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.runtime import transfers

SHRINK = 0.01
"""Every candidate is this share of the full range narrower than the one before; EQ-Net's code."""


_LOOK_EVERY, _MARGIN = 8, 1.001
"""After so many candidates, rows that narrower ones cannot improve are left out; the margin is for
rounding in sums."""


class Range(NamedTuple):
    """A grid for every row of values."""

    scale: Tensor
    """Distance of two codes, positive, [rows, 1]."""
    zero_point: Tensor
    """Real value of code zero, [rows, 1]."""


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

    Candidate i spans both ends times 1 - i / 100; of equal ones the widest is taken, and so it is
    where a value is so large that errors overflow. Where the ends coincide, the scale is 1.

    Args:
        rows: Values [rows, n].
        ends: Where the full range begins and ends, [rows, 1] each.
        codes: Smallest and largest code.
        centred: Code zero stands for zero; otherwise the smallest code stands for the lower end.
        candidates: How many there are, 1 to 100.
        power: Exponent of the error.

    Source: xu2023eqnet, public code; nahshan2021loss (least error of each layer).
    """
    best = Range(torch.ones_like(ends[0]), torch.zeros_like(ends[0]))
    least = torch.full_like(ends[0], torch.inf)
    left = torch.arange(len(rows), device=rows.device)
    for index in range(candidates):
        found = _candidate(ends, index, codes, centred)
        error = _error(rows, _nearest(rows, found, codes), power)
        better = (error < least[left]) | (index == 0)
        least[left] = torch.where(better, error, least[left])
        best.scale[left] = torch.where(better, found.scale, best.scale[left])
        best.zero_point[left] = torch.where(better, found.zero_point, best.zero_point[left])
        if index % _LOOK_EVERY == _LOOK_EVERY - 1:
            lost = _error(rows, _within_reach(rows, found, codes), power)
            hopeful = (lost <= least[left] * _MARGIN).flatten()
            kept = [row for row, hope in enumerate(transfers.to_host(hopeful)) if hope]
            if 2 * len(kept) <= len(left):
                chosen = torch.tensor(kept, dtype=torch.int64, device=rows.device)
                left, rows = left[chosen], rows[chosen]
                ends = ends[0][chosen], ends[1][chosen]
            if not len(left):
                break
    return best


def _candidate(
    ends: tuple[Tensor, Tensor], index: int, codes: tuple[float, float], centred: bool
) -> Range:
    low, high = codes
    start, end = (side * (1.0 - index * SHRINK) for side in ends)
    scale = (end - start) / (high - low)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return Range(scale, torch.zeros_like(scale) if centred else start - scale * low)


def _nearest(rows: Tensor, grid: Range, codes: tuple[float, float]) -> Tensor:
    """Return the nearest values on the grid."""
    ratios = rows.sub(grid.zero_point).div_(grid.scale)
    return ratios.clamp_(*codes).round_().mul_(grid.scale).add_(grid.zero_point)


def _within_reach(rows: Tensor, grid: Range, codes: tuple[float, float]) -> Tensor:
    """Return ``rows`` clipped to where the grid or zero is the end.

    Narrower candidates are this grid, scaled towards zero: none of their points is any nearer to
    what is beyond. The error made here is therefore the least that they can have.
    """
    low, high = (code * grid.scale + grid.zero_point for code in codes)
    return torch.minimum(torch.maximum(rows, low.clamp(max=0)), high.clamp(min=0))


def _error(rows: Tensor, others: Tensor, power: float) -> Tensor:
    """Return the mean of |others - rows| ^ power [rows, 1]; overwrites ``others``."""
    apart = others.sub_(rows).abs_()
    # Twice as fast as a power of these numbers, which are not negative.
    return apart.log_().mul_(power).exp_().mean(1, keepdim=True)
