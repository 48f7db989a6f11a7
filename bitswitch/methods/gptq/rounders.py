"""What a column of weights is rounded to: a point of one grid, or a code good at many widths."""

import torch
from torch import Tensor

from bitswitch.methods.gptq.grids import Grid, GridRule
from bitswitch.quant.granularity import PerGroup, PerTensor
from bitswitch.quant.grid import grid_codes
from bitswitch.quant.integer import shift_half_up
from bitswitch.quant.quantizer import Width


class GridRounder:
    """Rounds to the nearest point of grids, which are fitted to the weights as they come.

    Args:
        width: Bit-width of the codes.
        rule: Says which weights share a grid, and where it ends.
    """

    def __init__(self, width: Width, rule: GridRule) -> None:
        self.width = width
        self.rule = rule
        self._grids: list[Grid] = []
        self._shape: tuple[int, ...] = ()

    def group(self, weight: Tensor) -> int:
        """Return how many columns of ``weight`` [out, in, ...] share grids."""
        granularity = self.rule.granularity
        shared = granularity.size if isinstance(granularity, PerGroup) else len(weight[0])
        return shared * weight[0, 0].numel()

    def begin(self, columns: Tensor) -> None:
        """Fit the grids of ``columns`` [blocks, rows, size]."""
        whole = isinstance(self.rule.granularity, PerTensor)
        rows = columns.reshape(1, -1) if whole else columns.flatten(0, 1)
        self._grids.append(self.rule.fitted(rows, self.width))
        self._shape = (1, 1) if whole else tuple(columns.shape[:2])

    @property
    def _grid(self) -> Grid:
        """Grids in use, [blocks, rows] or [1, 1]."""
        return Grid(*(part.reshape(self._shape) for part in self._grids[-1]))

    def round(self, column: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest codes of ``column`` [blocks, rows], and what they lack."""
        grid = self._grid
        low, high = self.rule.bounds(self.width)
        codes = grid_codes(column - grid.zero_point, grid.scale, low, high)
        return codes, column - (codes * grid.scale + grid.zero_point)

    def fitted(self, weight: Tensor) -> Grid:
        """Return all grids, of the shape of the scales of ``weight`` [out, in, ...]."""
        shape = self.rule.granularity.scale_shape(weight.shape)
        parts = zip(*self._grids, strict=True)
        return Grid(*(torch.cat(part, dim=1).reshape(shape) for part in parts))


class SliceRounder(GridRounder):
    """Chooses the wide code whose slices at several bit-widths are nearest together.

    It minimises the weighted sum of squared errors over all codes; of equal ones the smallest is
    taken. The error that later columns make up for is the mean of those of all slices.

    Args:
        width: The widest bit-width.
        rule: As in ``GridRounder``.
        slices: Weight of the squared error by bit-width.

    Source: kleinegger2026matgptq, public code.
    """

    def __init__(self, width: Width, rule: GridRule, slices: dict[int, float]) -> None:
        super().__init__(width, rule)
        self.slices = slices

    def round(self, column: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best codes of ``column`` [blocks, rows], and what their slices lack."""
        grid = self._grid
        low, high = (int(end) for end in self.rule.bounds(self.width))
        codes = torch.arange(low, high + 1, dtype=torch.int32, device=column.device)
        cost = torch.zeros(1, device=column.device)
        apart = []
        for bits, weight in self.slices.items():
            shift = int(self.width.bits) - bits
            narrow = shift_half_up(codes, shift).clamp(max=2 ** (bits - 1) - 1) << shift
            values = narrow * grid.scale.unsqueeze(-1) + grid.zero_point.unsqueeze(-1)
            apart.append(column.unsqueeze(-1) - values)
            cost = cost + weight * apart[-1].square()
        best = cost.argmin(-1, keepdim=True)
        error = torch.stack(apart).mean(0).gather(-1, best)
        return codes[best].squeeze(-1).to(column.dtype), error.squeeze(-1)
