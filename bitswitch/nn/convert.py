"""Replace the layers of a float network by ones that switch their bit-width."""

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.layers import QuantizedConv2d, QuantizedLayer, QuantizedLinear
from bitswitch.nn.roles import Role, Roles
from bitswitch.types import FLOAT_BITS

if TYPE_CHECKING:
    from bitswitch.contracts import Method

_MARK = "_role"
"""Attribute of a float layer; copies that a method makes of the layer have it too."""


def convert(net: nn.Module, method: "Method", chosen: Roles) -> nn.Module:
    """Return ``net``, prepared by ``method``, with its layers and batch norms replaced.

    Args:
        net: Changed in place, as far as the method does.
        method: See ``bitswitch.nn.model.quantize``.
        chosen: What becomes of the layers.
    """
    for name, chosen_role in chosen.layers.items():
        setattr(net.get_submodule(name), _MARK, chosen_role)
    net = method.prepare(net)
    without_fast_path(net)
    replacements: dict[nn.Module, nn.Module] = {}
    for module in net.modules():
        role: Role | None = module.__dict__.pop(_MARK, None)
        if role == "inner":
            replacements[module] = _quantized(module, method)
        elif role in ("first", "last") and method.edge_bits is not None:
            replacements[module] = _pinned(module, role == "first", method)
        elif isinstance(module, _BatchNorm):
            replacements[module] = _normalization(module, method)
    for name, module in list(net.named_modules(remove_duplicate=False)):
        if module in replacements:
            net.set_submodule(name, replacements[module])
    return net


def without_fast_path(net: nn.Module) -> None:
    """Let torch's transformer layers run the layers inside them, in evaluation too.

    They would otherwise give the weights to a function that knows of no bit-widths.
    """
    for module in net.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0


def _pinned(layer: nn.Module, is_first: bool, method: "Method") -> QuantizedLayer:
    """Return the replacement of an edge layer, whose quantizers know one bit-width alone.

    The network's input is never quantized.
    """
    bits = method.edge_bits
    assert bits is not None
    sibling = type(method)(method.options, (bits,))
    sibling.edge = True
    quantized = _quantized(layer, sibling)
    quantized.pinned = (bits, FLOAT_BITS if is_first else bits)
    quantized.switch(*quantized.pinned)
    return quantized


def _quantized(layer: nn.Module, method: "Method") -> QuantizedLayer:
    """Return the replacement of one layer, which is of exactly one of two types."""
    if isinstance(layer, nn.Conv2d):
        return QuantizedConv2d(layer, method)
    assert isinstance(layer, nn.Linear)
    return QuantizedLinear(layer, method)


def _normalization(norm: _BatchNorm, method: "Method") -> nn.Module:
    """Return the replacement of a batch norm."""
    return with_fused_parts(norm, method.normalization(norm))


def with_fused_parts(norm: nn.Module, replacement: nn.Module) -> nn.Module:
    """Return ``replacement``, followed by what is fused into ``norm``: dropout and activation."""
    fused = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(replacement, *fused) if fused else replacement
