"""How far the quantized weights of layers are from the real ones."""

import torch
from torch import Tensor

from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.quantizer import Width
from bitswitch.runtime import transfers
from bitswitch.types import BitSet


@torch.no_grad()
def squared_weight_errors(model: QuantizedModel, bitset: BitSet) -> dict[tuple[str, int], float]:
    """Return ||Q_b(W) - W||^2 of every switchable layer by (layer, bits).

    Args:
        model: Its policy is left as it is.
        bitset: Bit-widths b, each one of the model's.
    """
    found: dict[tuple[str, int], Tensor] = {}
    for bits in bitset:
        with model.at(bits):
            for name, layer in model.layers.items():
                weight = layer.weight
                quantized = layer.weight_quantizer(weight, Width.of(bits, model.bitset))
                found[name, bits] = (quantized.double() - weight.double()).square().sum()
    order = [(name, bits) for name in model.layers for bits in bitset]
    errors = transfers.to_host(torch.stack([found[key] for key in order])) if order else []
    return dict(zip(order, errors, strict=True))
