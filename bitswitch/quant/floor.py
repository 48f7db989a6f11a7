"""Floored weights: dropping the lowest bits of a stored code gives the code of fewer bits."""

import torch
from torch import Tensor

from bitswitch.quant.double_rounding import DoubleRoundingQuantizer, GradientName
from bitswitch.quant.granularity import PER_TENSOR, Granularity
from bitswitch.quant.quantizer import Codes, Width
from bitswitch.types import BitSet


class FloorQuantizer(DoubleRoundingQuantizer):
    """Weights that are floored at every bit-width, the widest included.

    The code of b bits is clip(floor(w / (scale * 2^(widest - b)))), which is exactly the widest
    code shifted right by widest - b bits. The full two's complement range is used at every width.

    Args:
        weight: Float weights [out, in, ...] that set the initial scale.
        bitset: Bit-widths, widest first.
        granularity: Which weights share a scale.
        gradient: Which gradient the scale gets.
        gradient_scale: Multiply it by 1 / sqrt(weights per scale * largest code).

    Source: bulat2021bitmixer, as huang2025nearly describes it.

    >>> weight = torch.tensor([[0.5, -0.25, 0.3, -1.0]])
    >>> quantize = FloorQuantizer(weight, (8, 2))
    >>> _ = quantize.scale.data.fill_(0.01)
    >>> [quantize.encode(weight, Width.of(bits, (8, 2))).values.tolist() for bits in (8, 2)]
    [[[50, -25, 30, -100]], [[0, -1, 0, -2]]]
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        granularity: Granularity = PER_TENSOR,
        gradient: GradientName = "derivative",
        gradient_scale: bool = True,
    ) -> None:
        super().__init__(weight, bitset, granularity, "floor", gradient, gradient_scale)

    @torch.no_grad()
    def narrow(self, codes: Codes, width: Width) -> Codes:
        """Shift the widest ``codes`` right, keeping their signs."""
        shift = int(width.ratio).bit_length() - 1
        return Codes(codes.values >> shift, codes.scale * width.ratio)
