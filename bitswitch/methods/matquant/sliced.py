"""Weights on one wide grid whose codes are sliced: fewer bits are the highest ones, rounded."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from bitswitch.methods.matquant.sliced_grid import Slices, on_sliced_grid, wide_codes
from bitswitch.quant.granularity import Granularity
from bitswitch.quant.grid import at_least_float32, integers
from bitswitch.quant.initial import measured
from bitswitch.quant.integer import shift_half_up
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.types import BitSet

BaseName = Literal["qat", "learned-clip"]
"""``qat``: the grid ends at the extremes of the weights; ``learned-clip``: at learned shares."""

CLIP_LOGIT = 4.0
"""Of learned shares at first: 0.982 of the extremes."""


class SlicedQuantizer(Quantizer):
    """One scale and zero point for all bit-widths; narrow codes are the wide ones, rounded half up.

    A code of b bits is the wide code over 2^(h-b), to nearest, ties up, at most the largest of b
    bits. Codes are signed here; the publications count them from zero, which is the same grid.

    Args:
        bitset: Bit-widths, widest first.
        granularity: Which weights share a grid.
        clamp: Whether codes that round beyond the largest are brought down to it; if not, they need
            a further bit.

    Source: nair2025matryoshka, section 3.2.
    """

    def __init__(self, bitset: BitSet, granularity: Granularity, clamp: bool = True) -> None:
        super().__init__()
        self.bitset = bitset
        self.granularity = granularity
        self.clamp = clamp

    def grid(self, x: Tensor, width: Width) -> tuple[Tensor, Tensor]:
        """Return scale and zero point of the widest codes of ``x``."""
        raise NotImplementedError

    def forward(self, x: Tensor, width: Width) -> Tensor:
        x = at_least_float32(x)
        return on_sliced_grid(x, *self.grid(x, width), Slices.of(width, self.clamp))

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        """Return the codes of ``width``, by integer operations from the widest."""
        x = at_least_float32(x)
        scale, zero_point = self.grid(x, width)
        wide = integers(wide_codes(x, scale, zero_point, Slices.of(width, self.clamp)))
        return self.narrow(Codes(wide, scale.clone(), zero_point.clone()), width)

    @torch.no_grad()
    def narrow(self, codes: Codes, width: Width) -> Codes:
        values = shift_half_up(codes.values, int(width.ratio).bit_length() - 1)
        if self.clamp:
            values = values.clamp(max=int(width.signed_high))
        return Codes(values, codes.scale * width.ratio, codes.zero_point)

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return their number: a scale and a zero point, the same for all bit-widths."""
        return 2 * math.prod(self.granularity.scale_shape(shape))


class MinMaxQuantizer(SlicedQuantizer):
    """Weights whose wide grid ends at their least and their largest value, zero included.

    It is computed from the weights every time, and they get no gradient through it.

    Args:
        weight: Float weights [out, in, ...], for their shape.
        bitset: Bit-widths, widest first.
        granularity: Which weights share a grid.
        base: Whether shares of the extremes are learned: then a logit for each end of each grid
            gets a gradient, besides the weights.
        clamp: As in ``SlicedQuantizer``.

    Source: nair2025matryoshka, Eq. 1 (min-max grids) and section 3.1 (learned clipping, of
    shao2024omniquant).

    >>> from bitswitch.quant.granularity import PerChannel
    >>> weight = torch.tensor([[-1.0, 0.1, 0.5, 1.0]])
    >>> quantize = MinMaxQuantizer(weight, (8, 2), PerChannel())
    >>> [quantize.encode(weight, Width.of(bits, (8, 2))).values.tolist() for bits in (8, 2)]
    [[[-128, 12, 63, 127]], [[-2, 0, 1, 1]]]
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        granularity: Granularity,
        base: BaseName = "qat",
        clamp: bool = True,
    ) -> None:
        super().__init__(bitset, granularity, clamp)
        self.low_share: nn.Parameter | None = None
        self.high_share: nn.Parameter | None = None
        if base == "learned-clip":
            count = granularity.rows(weight).shape[0]
            start = torch.full((count,), CLIP_LOGIT, device=weight.device)
            self.low_share = nn.Parameter(start)
            self.high_share = nn.Parameter(start.clone())

    def grid(self, x: Tensor, width: Width) -> tuple[Tensor, Tensor]:
        values = x.detach()
        low = self._end(values, torch.amin, self.low_share).clamp(max=0)
        high = self._end(values, torch.amax, self.high_share).clamp(min=0)
        half = -width.signed_low * width.ratio
        scale = measured((high - low) / (2 * half - 1))
        return scale, low + half * scale

    def _end(
        self,
        x: Tensor,
        extreme: Callable[[Tensor, int], Tensor],
        share: nn.Parameter | None,
    ) -> Tensor:
        """Return one end of all grids, in the shape of the scales."""
        found = self.granularity.reduce(x, extreme)
        return found if share is None else found * torch.sigmoid(share).reshape(found.shape)
