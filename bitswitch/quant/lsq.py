"""LSQ: learned scales, independent for every bit-width, for weights and for activations."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from bitswitch.quant.granularity import PER_TENSOR, Granularity
from bitswitch.quant.grid import at_least_float32, grid_codes, integers
from bitswitch.quant.initial import mean_scale, measured, percentile_range, three_sigma_scale
from bitswitch.quant.max_abs import MaxAbsQuantizer
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.ste import on_grid
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

InitName = Literal["range", "mean", "one"]
"""``range``: the 0.1-99.9 % range over 2^b - 1; ``mean``: 2 mean|x| / sqrt(Qp);
``one``: 1, whatever is seen."""

WeightInitName = Literal["mean", "three-sigma"]
"""``mean``: 2 mean|w| / sqrt(Qp); ``three-sigma``: max|mean +- 3 std| / 2^(b-1)."""

GradientCount = Literal["scale", "image", "token", "tensor"]
"""Which values the factor on a gradient counts: those that share a ``scale``, those of one
``image`` of the batch, those of one ``token``, which are the last axis, or all of the ``tensor``.
"""


SHARING: dict[str, Callable[[Tensor, Tensor], int]] = {
    "scale": lambda x, scale: scale.numel(),
    "image": lambda x, scale: len(x),
    "token": lambda x, scale: x.numel() // x.shape[-1],
    "tensor": lambda x, scale: 1,
}
"""Into how many parts values fall, of which one is counted."""
OF_A_BATCH = ("scale", "tensor")
"""What counts examples too."""


def counted(x: Tensor, scale: Tensor, what: GradientCount, batch_parts: int) -> int:
    """Return how many values the factor on a scale's gradient counts.

    Args:
        x: The operand, or one part of a batch of it.
        scale: Of its granularity.
        what: Is counted.
        batch_parts: How many parts the batch has.
    """
    own = x.numel() // SHARING[what](x, scale)
    return own * batch_parts if what in OF_A_BATCH else own


class LearnedScaleQuantizer(Quantizer):
    """A uniform grid with an independent learned scale for every bit-width.

    Args:
        bitset: Bit-widths, widest first.
        scale: Initial scale of all bit-widths, of the shape that its granularity says.
        gradient_scale: Multiply its gradient by 1 / sqrt(count * largest code).
        gradient_count: What is counted.

    Source: esser2020learned, Eq. 1-5 and section 2.2.

    >>> quantize = LearnedScaleQuantizer((4, 2), torch.tensor(0.5))
    >>> quantize.encode(torch.tensor([0.5, -0.2, 9.0, -1.0]), Width.of(2, (4, 2))).values.tolist()
    [1, 0, 1, -2]
    """

    def __init__(
        self,
        bitset: BitSet,
        scale: Tensor,
        gradient_scale: bool = True,
        gradient_count: GradientCount = "scale",
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.gradient_scale = gradient_scale
        self.gradient_count = gradient_count
        self.scale = PerBit(bitset, Scale(scale))

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the smallest and the largest code."""
        return width.signed_low, width.signed_high

    def forward(self, x: Tensor, width: Width) -> Tensor:
        scale = self.scale.at(width.index)
        low, high = self.bounds(width)
        count = counted(x, scale, self.gradient_count, self.batch_parts)
        gain = (count * high) ** -0.5 if self.gradient_scale else 1.0
        return on_grid(x.to(scale.dtype), scale, low, high, gain=gain)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        scale = self.scale.at(width.index)
        codes = grid_codes(x.to(scale.dtype), scale, *self.bounds(width))
        return Codes(integers(codes), scale.clone())


class WeightQuantizer(LearnedScaleQuantizer):
    """Weights with independent scales per bit-width.

    Args:
        weight: Float weights [out, in, ...] that set the initial scales.
        bitset: Bit-widths, widest first.
        granularity: Which weights share a scale.
        symmetric: Leave out the most negative code.
        gradient_scale: As in ``LearnedScaleQuantizer``, as the next.
        gradient_count: What is counted.
        init: How the scales start.

    >>> from bitswitch.quant.granularity import PerGroup
    >>> weight = torch.tensor([[0.5, -0.25, 3.0, -1.0]])
    >>> for granularity in (PER_TENSOR, PerGroup(2)):
    ...     codes = WeightQuantizer(weight, (4,), granularity).encode(weight, Width.of(4, (4,)))
    ...     codes.values.tolist(), codes.scale
    ([[1, 0, 3, -1]], tensor(0.8977))
    ([[2, -1, 2, -1]], tensor([[0.2835, 1.5119]]))
    """

    def __init__(
        self,
        weight: Tensor,
        bitset: BitSet,
        granularity: Granularity = PER_TENSOR,
        symmetric: bool = False,
        gradient_scale: bool = True,
        gradient_count: GradientCount = "scale",
        init: WeightInitName = "mean",
    ) -> None:
        scale = torch.ones(granularity.scale_shape(weight.shape), device=weight.device)
        super().__init__(bitset, scale, gradient_scale, gradient_count)
        self.symmetric = symmetric
        self.granularity = granularity
        self.init = init
        self.initialize(weight)

    def bounds(self, width: Width) -> tuple[Number, Number]:
        """Return the signed range, without its lowest code where symmetric."""
        return -width.signed_high if self.symmetric else width.signed_low, width.signed_high

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set every scale from the weights ``observed`` [out, in, ...]."""
        for bits in self.bitset:
            scale = self.scale.of(bits)
            if self.init == "three-sigma":
                scale.copy_(three_sigma_scale(observed, bits, self.granularity))
                continue
            mean = self.granularity.reduce(observed.detach().to(scale.dtype).abs(), torch.mean)
            scale.copy_(measured(mean_scale(mean, 2 ** (bits - 1) - 1)))


class ActivationQuantizer(LearnedScaleQuantizer):
    """Activations: one scale per tensor and bit-width, signed only where they need it.

    Until ``initialize`` has seen values the range is unsigned and every scale is 1.

    Args:
        bitset: Bit-widths, widest first.
        init: How the scales start.
        gradient_scale: As in ``LearnedScaleQuantizer``, as the next.
        gradient_count: What is counted.

    Source: huang2025nearly, Eq. 4-5, with zero-point 0.

    >>> quantize = ActivationQuantizer((4,))
    >>> quantize.initialize(torch.linspace(0, 3, 31))
    >>> quantize.encode(torch.tensor([0.0, 1.0, 2.9, 5.0]), Width.of(4, (4,))).values
    tensor([ 0,  5, 15, 15], dtype=torch.int32)
    """

    def __init__(
        self,
        bitset: BitSet,
        init: InitName = "range",
        gradient_scale: bool = True,
        gradient_count: GradientCount = "scale",
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
        """Set signedness and all scales from ``observed``: unsigned unless a value is negative."""
        values = at_least_float32(observed.detach()).flatten()
        self.signed = bool(transfers.to_host((values < 0).any()))
        if self.init == "one":
            return
        spread = percentile_range(values) if self.init == "range" else values.abs().mean()
        for bits in self.bitset:
            high = 2 ** (bits - 1) - 1 if self.signed else 2**bits - 1
            scale = spread / (2**bits - 1) if self.init == "range" else mean_scale(spread, high)
            self.scale.of(bits).copy_(measured(scale))

    def get_extra_state(self) -> Tensor:
        """Return the signedness, which the scales alone do not tell."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(transfers.to_host(state))


def activation_quantizer(
    granularity: Granularity,
    bitset: BitSet,
    init: InitName = "range",
    gradient_scale: bool = True,
    gradient_count: GradientCount = "scale",
) -> Quantizer:
    """Return a quantizer of activations: learned scales per tensor, computed ones otherwise.

    Args:
        granularity: Which activations share a scale; how many tokens there will be is not known
            before they come, so that their scales cannot be learned.
        bitset: As in ``ActivationQuantizer``, as all others; for learned scales.
        init: How they start.
        gradient_scale: Whether their gradients are scaled.
        gradient_count: What is counted for that.
    """
    if granularity == PER_TENSOR:
        return ActivationQuantizer(bitset, init, gradient_scale, gradient_count)
    return MaxAbsQuantizer(granularity)
