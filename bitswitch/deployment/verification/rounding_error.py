"""What rounding twice costs: the error of a layer's weights, split into rounding and clipping."""

from typing import Any

import torch
from torch import Tensor

from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.granularity import grouped
from bitswitch.quant.grid import grid_codes, integers
from bitswitch.quant.integer import cascade_half_even, shift_half_even
from bitswitch.quant.quantizer import Width
from bitswitch.results.deployments import Rounding
from bitswitch.runtime import transfers


@torch.no_grad()
def rounding_errors(model: QuantizedModel) -> list[Rounding]:
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
                size = weight.numel()
                found.append(
                    Rounding(position=position, layer=name, bits=bits, weights=size, **sums)
                )
    return found


def _sums(weight: Tensor, quantizer: DoubleRoundingQuantizer, width: Width) -> dict[str, Any]:
    """Return the fields of ``Rounding`` from ``signal`` on."""
    high, shift = int(width.signed_high), int(width.ratio).bit_length() - 1
    wide = quantizer.stored(weight, width)
    nearest, cascade = (
        rounded(wide, shift).clamp(max=high) for rounded in (shift_half_even, cascade_half_even)
    )
    scale = (quantizer.scale * width.ratio).to(weight.dtype)
    twice, _ = grouped(quantizer.encode(weight, width).values, scale)
    weight, scale = grouped(weight, scale)
    once = integers(grid_codes(weight, scale, width.signed_low, width.signed_high))
    ratios = weight.double() / scale.double()
    inside = ratios.clamp(float(width.signed_low), float(width.signed_high))
    squared = scale.double().square()
    clipping = ((inside - ratios).square() * squared).sum()
    rounding, single = (((codes - inside).square() * squared).sum() for codes in (twice, once))
    # A clipped weight lies on the last code in both cases, so that no product of errors remains.
    sums = [weight.double().square().sum(), clipping, rounding, single]
    counts = [(once != twice).sum(), (nearest != cascade).sum()]
    sent = transfers.to_host(torch.stack([one.double() for one in (*sums, *counts)]))
    names = ("signal", "clipping", "rounding", "rounding_single")
    counted = map(int, sent[len(names) :])
    return {
        **dict(zip(names, sent, strict=False)),
        **dict(zip(("differing", "cascade_differing"), counted, strict=True)),
    }
