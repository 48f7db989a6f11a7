"""Grids given by a clip value: the largest magnitude they reach."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.initial import measured, sampled
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.range_search import search_range
from bitswitch.quant.scale import Scale
from bitswitch.quant.shifted_grid import on_shifted_grid, shifted_codes
from bitswitch.quant.ste import on_grid
from bitswitch.runtime import transfers
from bitswitch.types import BitSet

CANDIDATES = 100
"""Of the search for the clip value with the least error: 1 to 0.01 times the largest magnitude."""
Candidates = Annotated[
    int, Field(ge=1, le=CANDIDATES, exclude_if=lambda count: count == CANDIDATES)
]
"""How many of them are tried, the widest first."""
_MOST_VALUES = 2**13
"""A clip value is searched on so many evenly spaced values."""


class ClipQuantizer(Quantizer):
    """A grid of 2^b levels from -c to c, without a zero, or from 0 to c where unsigned.

    The gradient of the clip value c follows from scale 2c / (2^b - 1) and zero point -c, or from
    scale c / (2^b - 1): outside the grid it is 1 above and, where signed, -1 below.

    Args:
        bitset: Bit-widths, widest first.
        weight: Weights whose largest magnitude is the first clip value of a signed grid; None: the
            operand is an activation, ``initialize`` sees whether it is signed.

    Source: shkolnik2020robust and nahshan2021loss, public code.
    """

    def __init__(self, bitset: BitSet, weight: Tensor | None) -> None:
        super().__init__()
        self.bitset = bitset
        self.signed = weight is not None

    def clip(self, width: Width) -> Tensor:
        """Return the clip value in use, 0-d."""
        raise NotImplementedError

    def set_clip(self, bits: int, value: Tensor) -> None:
        """Let the grid of ``bits`` reach up to ``value``, 0-d and positive."""
        raise NotImplementedError

    def grid(self, width: Width) -> tuple[Tensor, Tensor]:
        """Return scale and zero point; codes begin at zero."""
        clip = self.clip(width)
        if self.signed:
            return 2 * clip / width.unsigned_high, -clip
        return clip / width.unsigned_high, torch.zeros_like(clip)

    def forward(self, x: Tensor, width: Width) -> Tensor:
        scale, zero_point = self.grid(width)
        x, high = x.to(scale.dtype), width.unsigned_high
        if self.signed:
            return on_shifted_grid(x, scale, zero_point, 0.0, high)
        return on_grid(x, scale, 0.0, high)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        scale, zero_point = self.grid(width)
        return shifted_codes(x.to(scale.dtype), scale, zero_point, 0.0, width.unsigned_high)

    @torch.no_grad()
    def initialize(self, observed: Tensor) -> None:
        """Set signedness, and all clip values to the largest magnitude."""
        self.signed = bool(transfers.to_host((observed < 0).any()))
        self.reach(observed)

    @torch.no_grad()
    def reach(self, values: Tensor) -> None:
        """Set all clip values to the largest magnitude."""
        for bits in self.bitset:
            self.set_clip(bits, measured(at_least_float32(values.detach()).abs().amax()))

    @torch.no_grad()
    def least_error_clip(
        self, values: Tensor, bits: int, power: float, candidates: int = CANDIDATES
    ) -> Tensor:
        """Return the clip value with the least mean |quantized - value| ^ power, 0-d.

        Args:
            values: Of the operand, any shape.
            bits: Bit-width of the grid.
            power: Exponent of the error.
            candidates: How many are tried.

        Source: nahshan2021loss (least error of each layer).
        """
        rows = at_least_float32(values.detach()).flatten()
        end = measured(rows.abs().amax()).reshape(1, 1)
        rows = sampled(rows, _MOST_VALUES)[None]
        ends = (-end if self.signed else torch.zeros_like(end)), end
        codes = 0.0, 2.0**bits - 1
        found = search_range(rows, ends, codes, not self.signed, candidates, power)
        return (found.scale * codes[1] / (2 if self.signed else 1)).reshape(())

    def get_extra_state(self) -> Tensor:
        """Return the signedness, which clip values alone do not tell."""
        return torch.tensor(self.signed)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the signedness from a state dict."""
        self.signed = bool(transfers.to_host(state))


def _device(weight: Tensor | None) -> torch.device | None:
    """Return where the clip values of an operand lie at first; None: where torch puts them."""
    return None if weight is None else weight.device


class LearnedClip(ClipQuantizer):
    """One clip value for all bit-widths, which is trained.

    Args:
        bitset: Bit-widths, widest first.
        weight: See ``ClipQuantizer``.

    Source: shkolnik2020robust, public code, where it is named after learned step sizes.

    >>> weight = torch.tensor([[0.5, -0.25, 0.0, -1.0]])
    >>> codes = LearnedClip((4, 2), weight).encode(weight, Width.of(2, (4, 2)))
    >>> codes.values.tolist(), codes.scale, codes.zero_point
    ([[2, 1, 2, 0]], tensor(0.6667), tensor(-1.))
    """

    def __init__(self, bitset: BitSet, weight: Tensor | None = None) -> None:
        super().__init__(bitset, weight)
        self.scale = Scale(torch.ones((), device=_device(weight)))
        if weight is not None:
            self.reach(weight)

    def clip(self, width: Width) -> Tensor:
        return self.scale

    @torch.no_grad()
    def set_clip(self, bits: int, value: Tensor) -> None:
        """Let the grids of all bit-widths reach up to ``value``."""
        self.scale.copy_(value)


class FittedClips(ClipQuantizer):
    """A clip value for every bit-width, which is found after training.

    Args:
        bitset: Bit-widths, widest first.
        weight: See ``ClipQuantizer``.

    >>> weight = torch.tensor([[0.5, -0.25, 0.0, -1.0]])
    >>> codes = FittedClips((4, 2), weight).encode(weight, Width.of(4, (4, 2)))
    >>> codes.values.tolist(), codes.scale, codes.zero_point
    ([[11, 6, 7, 0]], tensor(0.1333), tensor(-1.))
    """

    clips: Tensor
    """[bit-widths]."""

    def __init__(self, bitset: BitSet, weight: Tensor | None = None) -> None:
        super().__init__(bitset, weight)
        self.register_buffer("clips", torch.ones(len(bitset), device=_device(weight)))
        if weight is not None:
            self.reach(weight)

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return the number of clip values, which are not trained, but stored."""
        return len(bitset)

    def clip(self, width: Width) -> Tensor:
        return self.clips[width.index]

    def set_clip(self, bits: int, value: Tensor) -> None:
        self.clips[self.bitset.index(bits)] = value
