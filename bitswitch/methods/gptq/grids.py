"""Even grids that end at the extremes of weights, or at the share of them that errs least."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from bitswitch.quant.granularity import Granularity
from bitswitch.quant.grid import grid_codes
from bitswitch.quant.initial import measured
from bitswitch.quant.quantizer import Number, Width

GridName = Literal["symmetric", "full-range", "asymmetric"]
"""``symmetric``: scale max|w| / (2^(b-1) - 1), without the most negative code, at 2 bits ternary;
``full-range``: scale 2 max|w| / (2^b - 1), with it; ``asymmetric``: from the least weight to the
largest, zero included, which is a point of the grid."""

ClipName = Literal["none", "mse"]
"""``none``: the grid ends at the extremes; ``mse``: at the share of them with the least error."""

SHARES = tuple((100 - percent) / 100 for percent in range(0, 71, 2))
"""Of the extremes, 1.0 to 0.3, that ``mse`` tries."""


def has_zero_points(kind: GridName) -> bool:
    """Return whether code zero of such a grid may stand for another number."""
    return kind == "asymmetric"


class Grid(NamedTuple):
    """Scale and zero point of every row."""

    scale: Tensor
    """[rows, 1], positive."""
    zero_point: Tensor
    """Real value of code zero, [rows, 1]."""


class GridRule(NamedTuple):
    """Which weights share a grid, and where it ends."""

    granularity: Granularity
    kind: GridName
    clip: ClipName = "none"

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the smallest and the largest code."""
        return bounds(width, self.kind)

    def fitted(self, rows: Tensor, width: Width) -> Grid:
        """Return the grids of ``rows`` [rows, weights]; see ``fitted_grid``."""
        return fitted_grid(rows, width, self.kind, self.clip)


def bounds(width: Width, kind: GridName) -> tuple[Number, Number]:
    """Return the smallest and the largest code."""
    return -width.signed_high if kind == "symmetric" else width.signed_low, width.signed_high


@torch.no_grad()
def fitted_grid(rows: Tensor, width: Width, kind: GridName, clip: ClipName = "none") -> Grid:
    """Return the grids of ``rows`` [rows, weights], float32 at least.

    Of shares with equal errors the largest is taken, and so it is where errors overflow. Rows of
    zeros have scale 1.

    Args:
        rows: Weights that share a grid are in a row.
        width: Bit-width.
        kind: Where the grid ends, and where its zero is.
        clip: Whether it ends before the extremes.

    Source: frantar2023gptq, section 4 (min-max grids), and its public code.

    >>> row = torch.tensor([[-0.5, 0.0, 0.25, 1.0]])
    >>> [fitted_grid(row, Width.of(3, (3,)), kind).scale.item() for kind in ("symmetric",)]
    [0.3333333432674408]
    """
    low = rows.amin(1, keepdim=True).clamp(max=0)
    high = rows.amax(1, keepdim=True).clamp(min=0)
    best = _grid(low, high, width, kind)
    if clip == "none":
        return best
    least = _error(rows, best, width, kind)
    for share in SHARES[1:]:
        found = _grid(low * share, high * share, width, kind)
        error = _error(rows, found, width, kind)
        better = error < least
        least = torch.where(better, error, least)
        best = Grid(*(torch.where(better, *pair) for pair in zip(found, best, strict=True)))
    return best


def _grid(low: Tensor, high: Tensor, width: Width, kind: GridName) -> Grid:
    if kind == "asymmetric":
        scale = measured((high - low) / width.unsigned_high)
        steps = (-low / scale).round() + width.signed_low
        return Grid(scale, -steps * scale)
    largest = torch.maximum(-low, high)
    if kind == "symmetric":
        return Grid(measured(largest / width.signed_high), torch.zeros_like(low))
    return Grid(measured(2 * largest / width.unsigned_high), torch.zeros_like(low))


def _error(rows: Tensor, grid: Grid, width: Width, kind: GridName) -> Tensor:
    """Return the summed squared error of every row, [rows, 1]."""
    codes = grid_codes(rows - grid.zero_point, grid.scale, *bounds(width, kind))
    return (codes * grid.scale + grid.zero_point - rows).square().sum(1, keepdim=True)
