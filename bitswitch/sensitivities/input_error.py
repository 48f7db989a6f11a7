"""How far the quantized inputs of layers are from the real ones."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant import per_bit
from bitswitch.quant.quantizer import Width
from bitswitch.runtime import transfers
from bitswitch.types import FLOAT_BITS, BitSet

if TYPE_CHECKING:
    from bitswitch.contracts.data import Batch


class InputErrors(NamedTuple):
    """Squared errors of what layers read of one image, its mean over images."""

    squared: dict[tuple[str, int], float]
    """||Q_b(x) - x||^2 by (layer, bits)."""
    elements: dict[str, float]
    """Numbers in x, by layer."""


@torch.no_grad()
def squared_input_errors(
    model: QuantizedModel, bitset: BitSet, batches: "Callable[[], Iterable[Batch]]"
) -> InputErrors:
    """Return how far the inputs of every switchable layer are from those at full precision.

    Args:
        model: In evaluation mode; its policy is left as it is.
        bitset: Bit-widths b, each one of the model's.
        batches: Images to look at, at least one.
    """
    found: dict[tuple[str, int], Tensor] = {}
    elements: dict[str, int] = {}
    images = 0

    def see(name: str, layer: QuantizedLayer, inputs: tuple[Tensor, ...]) -> Any:
        real = inputs[0]
        elements[name] = elements.get(name, 0) + real.numel()
        for bits in bitset:
            per_bit.switch(layer.activation_quantizer, bits)
            quantized = layer.activation_quantizer(real, Width.of(bits, model.bitset))
            error = (quantized.double() - real.double()).square().sum()
            before = found.get((name, bits))
            found[name, bits] = error if before is None else before + error

    with model.at(FLOAT_BITS), ExitStack() as stack:
        for name, layer in model.layers.items():
            hook: Callable[..., Any] = partial(see, name)
            stack.callback(layer.register_forward_pre_hook(hook).remove)
        for batch in batches():
            model(batch.inputs)
            images += len(batch.inputs)
    order = [(name, bits) for name in model.layers for bits in bitset]
    errors = transfers.to_host(torch.stack([found[key] for key in order])) if order else []
    return InputErrors(
        {key: error / images for key, error in zip(order, errors, strict=True)},
        {name: elements[name] / images for name in model.layers},
    )
