"""Adaptive rounding: whether a weight is rounded up or down is learned, not given by distance."""

import torch
from torch import Tensor

from bitswitch.methods.ptmq.squared_error import squared_error_scale
from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.grid import at_least_float32, grid_codes, integers
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.quant.ste import on_grid
from bitswitch.types import BitSet

LOW, HIGH = -0.1, 1.1
"""Range to which the sigmoid is stretched (nagel2020up, section 3.2)."""


def rectified_sigmoid(logits: Tensor) -> Tensor:
    """Return h(V) = clip(sigmoid(V) * 1.2 - 0.1, 0, 1), how much a code is rounded up.

    The gradient is that of the stretched sigmoid where 0 <= h <= 1, bounds included, else 0.

    Source: nagel2020up, Eq. 23.
    """
    return _closed_clip(torch.sigmoid(logits) * (HIGH - LOW) + LOW, 0.0, 1.0)


def rectified_logit(shares: Tensor) -> Tensor:
    """Return V with ``rectified_sigmoid(V) == shares``, for ``shares`` in [0, 1]."""
    return torch.logit((shares - LOW) / (HIGH - LOW))


def rounding_penalty(logits: Tensor, exponent: float) -> Tensor:
    """Return the sum of 1 - |2 h(V) - 1|^exponent, zero where every h is 0 or 1.

    Source: nagel2020up, Eq. 24.
    """
    return (1 - (2 * rectified_sigmoid(logits) - 1).abs().pow(exponent)).sum()


class AdaRoundQuantizer(Quantizer):
    """Weights with a fixed scale per output channel and bit-width, and learned rounding.

    Every bit-width has rounding directions of its own. Before they are learned, weights are
    rounded to nearest. ``soften`` starts learning at one width: ``forward`` then returns the soft
    weight, whose gradient goes to the logits alone. ``harden`` fixes the directions.

    Args:
        weight: Float weights [out, in, ...] that set the scales, by least squared error.
        bitset: Bit-widths, widest first.

    Source: nagel2020up, Eq. 21-23.

    >>> weight = torch.tensor([[0.5, -0.25, 0.0, -1.0]])
    >>> codes = AdaRoundQuantizer(weight, (4, 2)).encode(weight, Width.of(2, (4, 2)))
    >>> codes.values.tolist(), codes.scale
    ([[1, -1, 0, -2]], tensor([[0.4600]]))
    """

    rounding: Tensor
    """int8 [bit-widths, out, weights per output]: 1 up, -1 down, 0 to nearest."""

    def __init__(self, weight: Tensor, bitset: BitSet) -> None:
        super().__init__()
        self.bitset = bitset
        self.granularity = PerChannel()
        shape = self.granularity.scale_shape(weight.shape)
        self.scale = PerBit(bitset, Scale(torch.ones(shape, device=weight.device)))
        table = len(bitset), len(weight), weight[0].numel()
        self.register_buffer("rounding", torch.zeros(table, dtype=torch.int8, device=weight.device))
        self._logits: Tensor | None = None
        self.initialize(weight)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set every scale to that of the least squared error on ``observed`` weights."""
        rows = at_least_float32(observed.detach()).flatten(1)
        for bits in self.bitset:
            width = Width.of(bits, self.bitset)
            found = squared_error_scale(rows, float(width.signed_low), float(width.signed_high))
            scale = self.scale.of(bits)
            scale.copy_(found.reshape(scale.shape))

    def forward(self, x: Tensor, width: Width) -> Tensor:
        scale = self.scale.at(width.index)
        x = x.to(scale.dtype)
        if self._logits is not None:
            return self._soft(x, scale, width)
        return on_grid(self._directed(x, scale, width), scale, width.signed_low, width.signed_high)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        scale = self.scale.at(width.index)
        directed = self._directed(x.to(scale.dtype), scale, width)
        codes = grid_codes(directed, scale, width.signed_low, width.signed_high)
        return Codes(integers(codes), scale.clone())

    @torch.no_grad()
    def soften(self, x: Tensor, width: Width) -> Tensor:
        """Return logits to be learned; until ``harden`` the weight is ``x`` plus no error at first.

        Args:
            x: Float weights [out, in, ...].
            width: The one at which ``forward`` is called until then.
        """
        ratios = x / self.scale.at(width.index)
        self._logits = rectified_logit(ratios - ratios.floor()).requires_grad_()
        return self._logits

    @torch.no_grad()
    def harden(self, width: Width) -> None:
        """Round to the nearer end of every h from now on: up where it is at least a half."""
        if self._logits is not None:
            up = self._logits.flatten(1) >= 0
            self.rounding[width.index] = torch.where(up, 1, -1).to(torch.int8)
        self._logits = None

    def _soft(self, x: Tensor, scale: Tensor, width: Width) -> Tensor:
        assert self._logits is not None
        scale = scale.detach()
        codes = (x.detach() / scale).floor() + rectified_sigmoid(self._logits)
        return _closed_clip(codes, width.signed_low, width.signed_high) * scale

    def _directed(self, x: Tensor, scale: Tensor, width: Width) -> Tensor:
        """Return ``x``, moved to the neighbouring grid point where its direction is fixed."""
        with torch.no_grad():
            rounding = self.rounding[width.index].reshape(x.shape)
            target = ((x / scale).floor() + (rounding > 0)) * scale
            move = torch.where(rounding == 0, 0.0, target - x)
        return x + move


def _closed_clip(values: Tensor, low: Number, high: Number) -> Tensor:
    """Return ``values`` clipped; gradient 1 inside and on the bounds, 0 outside."""
    values = torch.where(values < low, low, values)
    return torch.where(values > high, high, values)
