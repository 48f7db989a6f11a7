"""What every convolution and linear layer of a network computes, measured by one forward pass."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.costs import LayerShape
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.types import FLOAT_BITS


@torch.no_grad()
def layer_shapes(model: QuantizedModel, image: Sequence[int]) -> list[LayerShape]:
    """Return the shapes of all convolution and linear layers of ``model``, in registration order.

    Args:
        model: Its modes, policy and statistics are left as they are.
        image: (channels, height, width) of one image.
    """
    layers = {
        name: module
        for name, module in model.net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    seen: dict[str, tuple[int, int]] = {}
    handles = [module.register_forward_hook(_watch(seen, name)) for name, module in layers.items()]
    modes = [(module, module.training) for module in model.modules()]
    place = next(model.parameters())
    try:
        model.eval()
        with model.at(FLOAT_BITS):
            model(torch.zeros(1, *image, device=place.device, dtype=place.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return [_shape(name, layers[name], *seen[name]) for name in layers if name in seen]


def _watch(seen: dict[str, tuple[int, int]], name: str) -> Callable[..., None]:
    """Return a hook that adds up the elements of a layer's inputs and outputs, call by call."""

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before = seen.get(name, (0, 0))
        seen[name] = before[0] + inputs[0].numel(), before[1] + output.numel()

    return note


def _shape(name: str, layer: nn.Conv2d | nn.Linear, inputs: int, outputs: int) -> LayerShape:
    common: dict[str, Any] = {
        "name": name,
        "weights": layer.weight.numel(),
        "macs": outputs * layer.weight[0].numel(),
        "inputs": inputs,
        "scales": _stored_scales(layer) if isinstance(layer, QuantizedLayer) else 0,
        "edge_bits": _edge_bits(layer) if isinstance(layer, QuantizedLayer) else FLOAT_BITS,
    }
    if isinstance(layer, nn.Conv2d):
        return LayerShape(
            kind="conv",
            in_channels=layer.in_channels,
            out_channels=layer.out_channels,
            kernel=max(layer.kernel_size),
            stride=max(layer.stride),
            groups=layer.groups,
            **common,
        )
    return LayerShape(
        kind="linear",
        in_channels=layer.in_features,
        out_channels=layer.out_features,
        kernel=1,
        stride=1,
        groups=1,
        **common,
    )


def _edge_bits(layer: QuantizedLayer) -> int | None:
    """Return the bit-width of the weights that no policy changes, if there is one."""
    return None if layer.pinned is None else layer.pinned[0]


def _stored_scales(layer: QuantizedLayer) -> int:
    """Return the number of weight scales, those of all bit-widths."""
    return sum(scale.numel() for scale in layer.weight_quantizer.scales().values())
