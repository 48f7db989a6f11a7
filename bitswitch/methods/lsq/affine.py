"""Activations on an asymmetric grid: learned scale and zero point by bit-width."""

from typing import Any

import torch
from torch import Tensor

from bitswitch.quant.initial import least_squares_grid
from bitswitch.quant.lsq import GradientCount, counted
from bitswitch.quant.per_bit import PerBit, read_offsets
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.types import BitSet


class AffineActivationQuantizer(Quantizer):
    """Activations on an unsigned range whose scale and zero point are learned.

    Until ``initialize`` has seen values, every scale is 1 and every zero point 0.

    Args:
        bitset: Bit-widths, widest first.
        gradient_scale: Multiply both gradients by 1 / sqrt(count * largest code).
        gradient_count: What is counted; a scale belongs to the whole tensor.

    Source: bhalgat2020lsq, Eq. 3-5, configuration 4 (unsigned and asymmetric).

    >>> quantize = AffineActivationQuantizer((2,))
    >>> quantize.initialize(torch.tensor([-0.5, 0.5, 1.5, 2.5]))
    >>> codes = quantize.encode(torch.tensor([-1.0, 0.4, 0.9, 3.0]), Width.of(2, (2,)))
    >>> codes.values.tolist(), codes.scale, codes.zero_point
    ([0, 1, 1, 3], tensor(1.), tensor(-0.5000))
    """

    def __init__(
        self, bitset: BitSet, gradient_scale: bool = True, gradient_count: GradientCount = "image"
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.gradient_scale = gradient_scale
        self.gradient_count = gradient_count
        self.scale = PerBit(bitset, Scale(torch.ones(())))
        self.zero_point = PerBit(bitset, torch.zeros(()))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        scale, zero_point = self.scale.at(width.index), self.zero_point.at(width.index)
        high = width.unsigned_high
        count = counted(x, scale, self.gradient_count, self.batch_parts)
        gain = (count * high) ** -0.5 if self.gradient_scale else 1.0
        return on_shifted_grid(x.to(scale.dtype), scale, zero_point, 0.0, high, gain)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        scale, zero_point = self.scale.at(width.index), self.zero_point.at(width.index)
        return shifted_codes(x.to(scale.dtype), scale, zero_point, 0.0, width.unsigned_high)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set every scale and zero point to those of least mean squared error on ``observed``."""
        for bits in self.bitset:
            scale, zero_point = least_squares_grid(observed, 2**bits - 1)
            self.scale.of(bits).copy_(scale)
            self.zero_point.of(bits).copy_(zero_point)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load as every module does, under names of before too."""
        read_offsets(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)
