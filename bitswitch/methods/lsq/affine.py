"""Activations on an asymmetric grid: a learned step and a learned offset for every bit-width."""

import torch
from torch import Tensor

from bitswitch.quant.initial import least_squares_grid
from bitswitch.quant.lsq import GradientCount
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.types import BitSet


class AffineActivationQuantizer(Quantizer):
    """Activations on an unsigned range whose step and whose offset are learned.

    Until ``initialize`` has seen values, every step is 1 and every offset 0.

    Args:
        bitset: Bit-widths, widest first.
        gradient_scale: Multiply the gradients of step and offset by 1 / sqrt(count * largest code).
        gradient_count: What is counted; a step belongs to the whole tensor.

    Source: bhalgat2020lsq, Eq. 3-5, configuration 4 (unsigned and asymmetric).
    """

    def __init__(
        self, bitset: BitSet, gradient_scale: bool = True, gradient_count: GradientCount = "image"
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.gradient_scale = gradient_scale
        self.gradient_count = gradient_count
        self.scale = PerBit(bitset, Scale(torch.ones(())))
        self.offset = PerBit(bitset, torch.zeros(()))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        step, offset = self.scale.at(width.index), self.offset.at(width.index)
        high = width.unsigned_high
        count = x.numel() // (len(x) if self.gradient_count == "image" else 1)
        gain = (count * high) ** -0.5 if self.gradient_scale else 1.0
        return on_shifted_grid(x.to(step.dtype), step, offset, 0.0, high, gain)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        step, offset = self.scale.at(width.index), self.offset.at(width.index)
        return shifted_codes(x.to(step.dtype), step, offset, 0.0, width.unsigned_high)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set every step and offset to those of least mean squared error on ``observed``."""
        for bits in self.bitset:
            step, offset = least_squares_grid(observed, 2**bits - 1)
            self.scale.of(bits).copy_(step)
            self.offset.of(bits).copy_(offset)
