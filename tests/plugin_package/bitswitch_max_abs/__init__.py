"""Weights on grids that end at their largest magnitude."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from bitswitch.contracts import Method
from bitswitch.quant.grid import grid_codes, integers
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.quant.ste import on_grid
from bitswitch.types import Strict


class MaxAbsQuantizer(Quantizer):
    """One step per bit-width, computed from the weights; nothing is learned."""

    def __init__(self, headroom: float) -> None:
        super().__init__()
        self.headroom = headroom

    def forward(self, x: Tensor, width: Width) -> Tensor:
        return on_grid(x, self._step(x, width), width.signed_low, width.signed_high)

    @torch.no_grad()
    def encode(self, x: Tensor, width: Width) -> Codes:
        step = self._step(x, width)
        return Codes(integers(grid_codes(x, step, width.signed_low, width.signed_high)), step)

    def _step(self, x: Tensor, width: Width) -> Tensor:
        """Return the worth of one code; all-zero weights need some positive number too."""
        peak = x.detach().abs().amax().clamp_min(torch.finfo(x.dtype).tiny * 2**8)
        return peak * self.headroom / width.signed_high


class MaxAbs(Method):
    """Max-abs weights; activations and batch norm are the defaults of every method."""

    source = "yours2026max"

    class Options(Strict):
        """What a suite may set."""

        headroom: Annotated[float, Field(gt=0, le=1)] = 1.0
        """Share of the largest magnitude that the grid reaches; what is beyond is clipped."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return MaxAbsQuantizer(self.options.headroom)
