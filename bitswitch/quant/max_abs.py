"""Round to nearest on grids that end at the largest magnitude: nothing is learned."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bitswitch.quant.granularity import Granularity
from bitswitch.quant.grid import at_least_float32, grid_codes, integers
from bitswitch.quant.initial import measured
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.ste import on_grid
from bitswitch.types import BitSet


class MaxAbsQuantizer(Quantizer):
    """A signed grid with scale max|x| / (2^(b-1) - 1), computed from the values every time.

    On weights this is round to nearest (RTN); on activations, ``PerToken`` say, it is dynamic
    quantization. Nothing is clipped, so that the gradient is 1 everywhere; the scale gets none.
    Where all values are zero, it is 1.

    Args:
        granularity: Which values share a scale.

    >>> from bitswitch.quant.granularity import PerToken
    >>> rows = torch.tensor([[1.0, -7.0, 3.4], [0.1, 0.2, 0.7]])
    >>> codes = MaxAbsQuantizer(PerToken()).encode(rows, Width.of(4, (4,)))
    >>> codes.values.tolist(), codes.scale.flatten()
    ([[1, -7, 3], [1, 2, 7]], tensor([1.0000, 0.1000]))
    """

    def __init__(self, granularity: Granularity) -> None:
        super().__init__()
        self.granularity = granularity

    def forward(self, x: Tensor, width: Width) -> Tensor:
        x = at_least_float32(x)
        return on_grid(x, self.scale_of(x, width), -torch.inf, torch.inf)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        x = at_least_float32(x)
        scale = self.scale_of(x, width)
        return Codes(integers(grid_codes(x, scale, -torch.inf, torch.inf)), scale)

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return their number at all bit-widths: that of one does not follow from another's."""
        return math.prod(self.granularity.scale_shape(shape)) * len(bitset)

    @torch.no_grad()
    def scale_of(self, x: Tensor, width: Width) -> Tensor:
        """Return the scales of ``x``, float32 at least: largest magnitude, then one division."""
        return measured(self.granularity.reduce(x.abs(), torch.amax) / width.signed_high)
