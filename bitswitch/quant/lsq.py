"""Learned step sizes, one per bit-width: activations, and weights with independent steps."""

from typing import Literal

import torch
from torch import Tensor

from bitswitch.quant.grid import at_least_float32, grid_codes, integers
from bitswitch.quant.initial import mean_step, measured, percentile_range, three_sigma_step
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.ste import on_grid
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

InitName = Literal["range", "mean", "one"]
"""``range``: the 0.1-99.9 % range over the number of steps; ``mean``: 2 mean|x| / sqrt(Qp);
``one``: 1, whatever is seen."""

WeightInitName = Literal["mean", "three-sigma"]
"""``mean``: 2 mean|w| / sqrt(Qp); ``three-sigma``: max|mean +- 3 std| / 2^(b-1)."""

GradientCount = Literal["step", "image", "tensor"]
"""Which values a gradient scale counts: those that share a ``step``, those of one ``image`` of the
batch, or all of the ``tensor``."""


class StepQuantizer(Quantizer):
    """A grid with an independent learned step for every bit-width.

    Args:
        bitset: Bit-widths, widest first.
        step: Initial step of all bit-widths: a number, or [out, 1, ...] per output channel.
        gradient_scale: Multiply its gradient by 1 / sqrt(count * largest code).
        gradient_count: What is counted.

    Source: esser2020learned, Eq. 1-5 and section 2.2.
    """

    def __init__(
        self,
        bitset: BitSet,
        step: Tensor,
        gradient_scale: bool = True,
        gradient_count: GradientCount = "step",
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.gradient_scale = gradient_scale
        self.gradient_count = gradient_count
        self.scale = PerBit(bitset, Scale(step))

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the smallest and the largest code."""
        return width.signed_low, width.signed_high

    def forward(self, x: Tensor, width: Width) -> Tensor:
        step = self.scale.at(width.index)
        low, high = self.bounds(width)
        sharing = {"step": step.numel(), "image": len(x), "tensor": 1}[self.gradient_count]
        gain = (x.numel() // sharing * high) ** -0.5 if self.gradient_scale else 1.0
        return on_grid(x.to(step.dtype), step, low, high, gain=gain)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        step = self.scale.at(width.index)
        codes = grid_codes(x.to(step.dtype), step, *self.bounds(width))
        return Codes(integers(codes), step.clone())


class WeightQuantizer(StepQuantizer):
    """Weights with an independent step per bit-width.

    Args:
        weight: Float weights [out, in, ...] that set the initial steps.
        bitset: Bit-widths, widest first.
        per_channel: One step per output channel instead of one per layer.
        symmetric: Leave out the most negative code.
        gradient_scale: As in ``StepQuantizer``, as the next.
        gradient_count: What is counted.
        init: How the steps start.
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        per_channel: bool = False,
        symmetric: bool = False,
        gradient_scale: bool = True,
        gradient_count: GradientCount = "step",
        init: WeightInitName = "mean",
    ) -> None:
        shape = (len(weight), *[1] * (weight.dim() - 1)) if per_channel else ()
        step = torch.ones(shape, device=weight.device)
        super().__init__(bitset, step, gradient_scale, gradient_count)
        self.symmetric = symmetric
        self.per_channel = per_channel
        self.init = init
        self.initialize(weight)

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the signed range, without its lowest code where symmetric."""
        return -width.signed_high if self.symmetric else width.signed_low, width.signed_high

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set every step from the weights ``observed`` [out, in, ...]."""
        for bits in self.bitset:
            step = self.scale.of(bits)
            if self.init == "three-sigma":
                step.copy_(three_sigma_step(observed, bits, self.per_channel))
                continue
            rows = observed.detach().to(step.dtype).abs().reshape(step.numel(), -1)
            step.copy_(measured(mean_step(rows.mean(1), 2 ** (bits - 1) - 1)).reshape(step.shape))


class ActivationQuantizer(StepQuantizer):
    """Activations: one step per layer and bit-width, signed only where they need it.

    Until ``initialize`` has seen values the range is unsigned and every step is 1.

    Args:
        bitset: Bit-widths, widest first.
        init: How the steps start.
        gradient_scale: As in ``StepQuantizer``, as the next.
        gradient_count: What is counted.

    Source: huang2025nearly, Eq. 4-5, with zero-point 0.
    """

    def __init__(
        self,
        bitset: BitSet,
        init: InitName = "range",
        gradient_scale: bool = True,
        gradient_count: GradientCount = "step",
    ) -> None:
        super().__init__(bitset, torch.ones(()), gradient_scale, gradient_count)
        self.init = init
        self.signed = False

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the signed or the unsigned range."""
        if self.signed:
            return width.signed_low, width.signed_high
        return 0.0, width.unsigned_high

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set signedness and all steps from ``observed``: unsigned unless a value is negative."""
        values = at_least_float32(observed.detach()).flatten()
        self.signed = bool(transfers.to_host((values < 0).any()))
        if self.init == "one":
            return
        spread = percentile_range(values) if self.init == "range" else values.abs().mean()
        for bits in self.bitset:
            high = 2 ** (bits - 1) - 1 if self.signed else 2**bits - 1
            step = spread / (2**bits - 1) if self.init == "range" else mean_step(spread, high)
            self.scale.of(bits).copy_(measured(step))

    def get_extra_state(self) -> Tensor:
        """Return the signedness, which the steps alone do not tell."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(state)
