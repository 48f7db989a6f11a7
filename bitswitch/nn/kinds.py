"""The layers of a network that multiply by weights, and what each of them computes."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from bitswitch.costs import LayerKind

FLOAT_KINDS = (_ConvNd, nn.RNNBase, nn.MultiheadAttention, nn.Bilinear, nn.Embedding)
"""What stays at full precision, but for two-dimensional convolutions."""
WEIGHTED = (nn.Conv2d, nn.Linear, *FLOAT_KINDS)


def weighted_layers(net: nn.Module) -> dict[str, nn.Module]:
    """Return all layers of ``net`` that hold weights, by name, in registration order.

    A layer is one of them as a whole: what it is made of is not listed again.
    """
    found: dict[str, nn.Module] = {}
    for name, module in net.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, WEIGHTED) and not inside:
            found[name] = module
    return found


def shape_of(conv: nn.Conv2d) -> dict[str, Any]:
    """Return the arguments of a convolution as ``conv`` is, without bias and without numbers."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    kept = {name: getattr(conv, name) for name in (*names, "groups", "padding_mode")}
    return {**kept, "bias": False, "device": "meta"}


def kind_of(layer: nn.Module) -> LayerKind:
    """Return what costs call ``layer``."""
    if isinstance(layer, nn.Conv2d):
        return "conv"
    return "linear" if isinstance(layer, nn.Linear) else "other"


def weights_of(layer: nn.Module) -> int:
    """Return the elements of all weights of ``layer``; biases are none."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return layer.weight.numel()
    return sum(p.numel() for p in layer.parameters() if p.dim() > 1)


def macs_of(layer: nn.Module, inputs: tuple[Any, ...], outputs: int) -> int:
    """Return the multiply-accumulates with weights in one call of ``layer``.

    Args:
        layer: One of ``weighted_layers``.
        inputs: Of the call.
        outputs: Elements of what it returned.
    """
    for kind, count in _MACS.items():
        if isinstance(layer, kind):
            return count(layer, inputs, outputs)
    raise TypeError(f"{type(layer).__name__} is no layer with weights")


def _each_output(layer: Any, inputs: tuple[Any, ...], outputs: int) -> int:
    return int(outputs * layer.weight[0].numel())


def _each_input(layer: Any, inputs: tuple[Any, ...], outputs: int) -> int:
    return int(inputs[0].numel() * layer.weight[0].numel())


def _each_step(layer: Any, inputs: tuple[Any, ...], outputs: int) -> int:
    x = inputs[0]
    steps = x.data.shape[0] if not isinstance(x, Tensor) else x.numel() // x.shape[-1]
    return int(steps * weights_of(layer))


def _each_position(layer: Any, inputs: tuple[Any, ...], outputs: int) -> int:
    query, key, value = (x.numel() // x.shape[-1] for x in inputs[:3])
    width = layer.embed_dim
    projected = 2 * query * width + key * layer.kdim + value * layer.vdim
    return int(projected * width)


def _none(layer: Any, inputs: tuple[Any, ...], outputs: int) -> int:
    return 0


_MACS: dict[type[nn.Module], Callable[[Any, tuple[Any, ...], int], int]] = {
    _ConvTransposeNd: _each_input,
    _ConvNd: _each_output,
    nn.Linear: _each_output,
    nn.Bilinear: _each_output,
    nn.RNNBase: _each_step,
    nn.MultiheadAttention: _each_position,
    nn.Embedding: _none,
}
"""The first that fits counts."""
