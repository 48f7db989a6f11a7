"""Inputs clipped to [0, a] or [-a, a], where a is 1 (DoReFa) or learned (PACT)."""

from typing import Literal

import torch
from torch import Tensor

from bitswitch.quant.clipped_grid import ClippedGrid, on_clipped_grid
from bitswitch.quant.grid import at_least_float32, integers
from bitswitch.quant.initial import measured, percentile_range
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.scale import Scale
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

ClipInit = Literal["constant", "range"]
"""``constant``: a number of the method's; ``range``: the 0.1-99.9 % range of what is observed."""


class ClippedQuantizer(Quantizer):
    """Inputs clipped to [0, 1] where they are unsigned, to [-1, 1] where they are signed.

    Args:
        signed: Whether the range is signed; None: it is once a negative value has been observed.

    Source: zhou2016dorefa, section 2.4; signed: jin2020adabits, its code, with its clip at 1.

    >>> codes = ClippedQuantizer().encode(torch.tensor([-1.0, 0.4, 0.9, 3.0]), Width.of(2, (2,)))
    >>> codes.values.tolist(), codes.scale
    ([0, 1, 3, 3], tensor(0.3333))
    """

    def __init__(self, signed: bool | None = None) -> None:
        super().__init__()
        self.by_input = signed is None
        self.signed = bool(signed)

    def clip(self, width: Width) -> Tensor | None:
        """Return the upper end of the range [], None where it is 1."""
        return None

    def forward(self, x: Tensor, width: Width) -> Tensor:
        levels, half = width.unsigned_high, -width.signed_low
        return on_clipped_grid(at_least_float32(x), self.clip(width), self.signed, levels, half)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        grid = ClippedGrid(self.signed, width.unsigned_high, -width.signed_low)
        x, clip = at_least_float32(x), self.clip(width)
        codes = integers(grid.codes(x, clip))
        return Codes(codes, *grid.affine(x.new_ones(()) if clip is None else clip))

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set the signedness from ``observed`` values, unless it is given."""
        if self.by_input:
            self.signed = bool(transfers.to_host((observed < 0).any()))

    def get_extra_state(self) -> Tensor:
        """Return the signedness."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(transfers.to_host(state))


class LearnedClipQuantizer(ClippedQuantizer):
    """PACT with the calibrated gradient: inputs clipped to [0, a] or [-a, a], a learned.

    Args:
        bitset: Bit-widths, widest first.
        initial: The clip a at first, positive.
        signed: As in ``ClippedQuantizer``.
        per_bit: A clip for every bit-width instead of one for all.
        init: Whether ``initialize`` replaces ``initial``.

    Source: choi2018pact; jin2020sat (calibrated gradient); jin2020adabits, switchable clipping
    level.

    >>> quantize = LearnedClipQuantizer((4, 2), 3.0)
    >>> codes = quantize.encode(torch.tensor([-1.0, 0.4, 1.1, 5.0]), Width.of(2, (4, 2)))
    >>> codes.values.tolist(), codes.scale
    ([0, 0, 1, 3], tensor(1.))
    """

    def __init__(
        self,
        bitset: BitSet,
        initial: float,
        signed: bool | None = None,
        per_bit: bool = True,
        init: ClipInit = "constant",
    ) -> None:
        super().__init__(signed)
        self.init = init
        scale = Scale(torch.tensor(float(initial)))
        self.scale: PerBit | Scale = PerBit(bitset, scale) if per_bit else scale

    def clip(self, width: Width) -> Tensor:
        return self.scale.at(width.index) if isinstance(self.scale, PerBit) else self.scale

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set the signedness, and with ``range`` every clip, from ``observed`` values."""
        super().initialize(observed)
        if self.init == "range":
            spread = percentile_range(at_least_float32(observed.detach()).flatten())
            self.fill(measured(spread / 2 if self.signed else spread))

    @torch.no_grad()
    def fill(self, clip: Tensor | float) -> None:
        """Set the clips of all bit-widths to ``clip``, positive."""
        for parameter in self.scales().values():
            parameter.fill_(clip)
