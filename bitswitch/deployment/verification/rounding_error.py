"""What rounding twice costs: the error of a layer's weights, split into rounding and clipping."""

from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.grid import grid_codes, integers
from bitswitch.quant.quantizer import Width


class RoundingError(NamedTuple):
    """One layer at one bit-width; sums over its weights.

    A weight beyond the last code is clipped and has no rounding error, any other is rounded and has
    no clipping error: the squared error of a layer is the sum of both.
    """

    position: int
    """Of the layer, from the input."""
    layer: str
    bits: int
    weights: int
    """How many."""
    signal: float
    """Sum of squared weights."""
    clipping: float
    """Sum of squared errors of clipped weights; the same however the others are rounded."""
    rounding: float
    """Sum of squared errors of the others, as trained and deployed: from the widest codes."""
    rounding_single: float
    """The same, were each rounded once, from its float weight."""
    differing: int
    """Codes that rounding once would make others."""


@torch.no_grad()
def rounding_errors(model: QuantizedModel) -> list[RoundingError]:
    """Return the errors of all layers whose narrow codes come from their widest ones.

    Layers that are never switched, or whose quantizer is another, are left out.
    """
    found = []
    for position, (name, layer) in enumerate(model.layers.items()):
        if isinstance(layer.weight_quantizer, DoubleRoundingQuantizer):
            weight, quantizer = layer.weight.detach(), layer.weight_quantizer
            for bits in model.bitset:
                width = Width.of(bits, model.bitset)
                sums = _sums(weight, quantizer, width)
                found.append(RoundingError(position, name, bits, weight.numel(), *sums))
    return found


def _sums(
    weight: Tensor, quantizer: DoubleRoundingQuantizer, width: Width
) -> tuple[float, float, float, float, int]:
    """Return the fields of ``RoundingError`` from ``signal`` on."""
    step = (quantizer.scale * width.ratio).to(weight.dtype)
    once = integers(grid_codes(weight, step, width.signed_low, width.signed_high))
    twice = quantizer.encode(weight, width).values
    ratios = weight.double() / step.double()
    inside = ratios.clamp(float(width.signed_low), float(width.signed_high))
    squared = step.double().square()
    clipping = ((inside - ratios).square() * squared).sum()
    rounding, single = (((codes - inside).square() * squared).sum() for codes in (twice, once))
    # A clipped weight lies on the last code in both cases, so that no product of errors remains.
    differing = int((once != twice).sum())
    signal = weight.double().square().sum()
    return float(signal), float(clipping), float(rounding), float(single), differing
