"""Double Rounding: one scale and one stored integer tensor serve every bit-width."""

from typing import Literal

import torch
from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.quant.granularity import PER_TENSOR, Granularity
from bitswitch.quant.grid import Rounding, grid_codes, integers
from bitswitch.quant.initial import three_sigma_scale
from bitswitch.quant.integer import cascade_half_even, shift_half_even
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.ste import on_grid
from bitswitch.types import BitSet

GradientName = Literal["derivative", "printed"]
"""``derivative`` of the forward; ``printed``: Eq. 13 at v = w / (scale * 2^(h-b)), rounded once
whatever the forward does, without a factor 2^(h-b)."""

NESTED: tuple[Rounding, ...] = ("double", "cascade", "shift")
"""Roundings whose narrow codes follow from the widest ones."""


class DoubleRoundingQuantizer(Quantizer):
    """Weights whose narrow codes are roundings of the widest codes.

    The scale of b bits is ``scale * 2 ** (widest - b)``; ``scale`` is the only parameter and is
    used as it is: a training loop has to notice when it reaches zero.

    With ``rounding="cascade"`` each narrow code is a rounding of the next wider one instead.

    Args:
        weight: Float weights [out, in, ...] that set the initial scale.
        bitset: Bit-widths, widest first.
        granularity: Which weights share a scale.
        rounding: How the narrow codes come about.
        gradient: Which gradient the scale gets.
        gradient_scale: Multiply it by 1 / sqrt(weights per scale * largest code).

    Source: huang2025nearly, Eq. 1-3, 13; gradient scale: esser2020learned, section 2.2.

    >>> weight = torch.tensor([[0.5, -0.25, 0.3, -1.0]])
    >>> quantize = DoubleRoundingQuantizer(weight, (8, 2))
    >>> _ = quantize.scale.data.fill_(0.01)
    >>> [quantize.encode(weight, Width.of(bits, (8, 2))).values.tolist() for bits in (8, 2)]
    [[[50, -25, 30, -100]], [[1, 0, 0, -2]]]
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        granularity: Granularity = PER_TENSOR,
        rounding: Rounding = "double",
        gradient: GradientName = "derivative",
        gradient_scale: bool = True,
    ) -> None:
        super().__init__()
        self.granularity = granularity
        self.rounding = rounding
        self.gradient = gradient
        self.gradient_scale = gradient_scale
        self.scale = Scale(three_sigma_scale(weight, max(bitset), granularity))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        x = x.to(self.scale.dtype)
        gain = width.ratio**-1 if self.gradient == "printed" else 1.0
        if self.gradient_scale:
            count = x.numel() // self.scale.numel()
            gain = gain * (count * width.signed_high) ** -0.5
        return on_grid(
            x,
            self.scale * width.ratio,
            width.signed_low,
            width.signed_high,
            self.rounding,
            width.ratio,
            gain,
            slope="single" if self.gradient == "printed" else None,
        )

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        """Return the codes of ``width``, by integer operations from the widest where possible."""
        if self.rounding in NESTED:
            return self.narrow(Codes(self.stored(x, width), self.scale.clone()), width)
        x, scale = x.to(self.scale.dtype), self.scale * width.ratio
        codes = grid_codes(x, scale, width.signed_low, width.signed_high, self.rounding)
        return Codes(integers(codes), scale)

    @torch.no_grad()
    def narrow(self, codes: Codes, width: Width) -> Codes:
        """Return the codes of ``width`` from the widest ``codes``, by integer operations alone.

        Raises:
            EncodingError: the rounding starts from the float weights, not from the codes.
        """
        shift = int(width.ratio).bit_length() - 1
        match self.rounding:
            case "double":
                narrow = shift_half_even(codes.values, shift)
            case "cascade":
                narrow = cascade_half_even(codes.values, shift)
            case "shift":
                narrow = codes.values >> shift
            case _:
                raise EncodingError(
                    f"Rounding '{self.rounding}' takes narrow codes from the float weights: the "
                    f"widest codes do not determine them.\n"
                    f"  Use rounding 'double', 'cascade' or 'shift' to store integers alone."
                )
        low, high = int(width.signed_low), int(width.signed_high)
        return Codes(narrow.clamp(low, high), codes.scale * width.ratio)

    @torch.no_grad()
    def stored(self, x: Tensor, width: Width) -> Tensor:
        """Return the widest codes, int32, clipped to their range: all that has to be stored."""
        half = -int(width.signed_low * width.ratio)
        x = x.to(self.scale.dtype)
        return integers(grid_codes(x, self.scale, -half, half - 1))
