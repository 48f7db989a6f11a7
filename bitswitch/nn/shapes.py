"""What every layer with weights of a network computes, measured by one forward pass."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bitswitch.costs import LayerShape
from bitswitch.nn.dataflow import Example, inputs_of
from bitswitch.nn.kinds import kind_of, macs_of, weighted_layers, weights_of
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.types import FLOAT_BITS


class Seen(NamedTuple):
    """What went through one layer, all calls together."""

    inputs: int
    """Elements."""
    macs: int


@torch.no_grad()
def layer_shapes(model: QuantizedModel, example: Example) -> list[LayerShape]:
    """Return the shapes of all layers of ``model`` that run, in registration order.

    Of a float layer whose weight is given to a function, the function is counted.

    Args:
        model: Its modes, policy and statistics are left as they are.
        example: Inputs [n, ...], of which the first is used, or the shape of one.
    """
    layers = weighted_layers(model.net)
    seen: dict[str, Seen] = {}
    handles = [layer.register_forward_hook(_watch(seen, name)) for name, layer in layers.items()]
    modes = [(module, module.training) for module in model.modules()]
    place = next(model.parameters())
    borrowed = _Borrowed(layers)
    try:
        model.eval()
        with model.at(FLOAT_BITS), borrowed:
            model(inputs_of(example, 1, place))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    seen = borrowed.seen | seen
    first_last = {*model.ends.first, *model.ends.last}
    return [
        _shape(name, layer, seen[name], name in first_last)
        for name, layer in layers.items()
        if name in seen
    ]


def _watch(seen: dict[str, Seen], name: str) -> Callable[..., None]:
    """Return a hook that adds up what a layer computes, call by call."""

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        outputs = output.numel() if isinstance(output, Tensor) else 0
        _add(seen, name, inputs[0], macs_of(module, inputs, outputs))

    return note


def _add(seen: dict[str, Seen], name: str, x: Any, macs: int) -> None:
    before = seen.get(name, Seen(0, 0))
    size = x.numel() if isinstance(x, Tensor) else x.data.numel()
    seen[name] = Seen(before.inputs + size, before.macs + macs)


class _Borrowed(TorchFunctionMode):
    """Watches functions that are given the weight of a convolution or linear layer.

    Args:
        layers: By name; of those that run themselves, what is seen here is of no use.
    """

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        self.seen: dict[str, Seen] = {}
        plain = {name: m for name, m in layers.items() if isinstance(m, nn.Conv2d | nn.Linear)}
        self._weights = {id(m._parameters.get("weight")): (name, m) for name, m in plain.items()}
        self._kept: list[Tensor] = []
        """Views of weights: alive, so that none has the id of another."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        tensors = [x for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)]
        found = [self._weights[id(x)] for x in tensors if id(x) in self._weights]
        if found and isinstance(output, Tensor):
            name, layer = found[0]
            if len(tensors) == 1 and output.numel() == weights_of(layer):
                self._weights[id(output)] = name, layer
                self._kept.append(output)
            elif len(tensors) > 1:
                x = next(x for x in tensors if id(x) not in self._weights)
                _add(self.seen, name, x, macs_of(layer, (x,), output.numel()))
        return output


def _shape(name: str, layer: nn.Module, seen: Seen, is_first_last: bool) -> LayerShape:
    quantized = layer if isinstance(layer, QuantizedLayer) else None
    conv = layer if isinstance(layer, nn.Conv2d) else None
    linear = layer if isinstance(layer, nn.Linear) else None
    ends = (linear.in_features, linear.out_features) if linear is not None else (0, 0)
    return LayerShape(
        name=name,
        kind=kind_of(layer),
        weights=weights_of(layer),
        macs=seen.macs,
        inputs=seen.inputs,
        scales=0 if quantized is None else _stored_scales(quantized),
        in_channels=ends[0] if conv is None else conv.in_channels,
        out_channels=ends[1] if conv is None else conv.out_channels,
        kernel=1 if conv is None else max(conv.kernel_size),
        stride=1 if conv is None else max(conv.stride),
        groups=1 if conv is None else conv.groups,
        fixed_bits=FLOAT_BITS if quantized is None else _fixed_bits(quantized),
        is_first_last=is_first_last,
        float_input=quantized is not None and quantized.float_input,
    )


def _fixed_bits(layer: QuantizedLayer) -> int | None:
    """Return the bit-width of the weights that no policy changes, if there is one."""
    return None if layer.pinned is None else layer.pinned[0]


def _stored_scales(layer: QuantizedLayer) -> int:
    """Return the number of weight scales, those of all bit-widths."""
    return layer.weight_quantizer.stored_scales(layer.weight.shape, layer.weight_switch.bitset)
