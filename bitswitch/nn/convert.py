"""Replace the layers of a float network by ones that switch their bit-width."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.errors import BitWidthError, hint
from bitswitch.nn.layers import QuantizedConv2d, QuantizedLayer, QuantizedLinear
from bitswitch.types import FLOAT_BITS

if TYPE_CHECKING:
    from bitswitch.contracts import Method


def convert(net: nn.Module, method: "Method", keep: Collection[str] | None) -> None:
    """Replace layers and batch norms of ``net`` in place; see ``bitswitch.nn.model.quantize``."""
    found = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    names = list(found)
    edges = {} if keep is not None else _edges(names, method)
    keep = {*names[:1], *names[-1:]} - set(edges) if keep is None else set(keep)
    for name in keep - set(names):
        raise BitWidthError(
            f"Cannot keep '{name}' at full precision: the network has no such layer."
            f"{hint(name, names)}\n  layers: {', '.join(names)}"
        )
    replacements: dict[nn.Module, nn.Module] = {
        layer: _quantized(name, layer, method)
        for name, layer in found.items()
        if name not in keep and name not in edges
    }
    if edges:
        replacements |= _pinned({name: found[name] for name in edges}, edges, method)
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            replacements[module] = _normalization(module, method)
    for name, module in list(net.named_modules(remove_duplicate=False)):
        if module in replacements:
            net.set_submodule(name, replacements[module])


def _edges(names: list[str], method: "Method") -> dict[str, tuple[int, int]]:
    """Return the fixed bit-widths of the first and last layer; images are never quantized."""
    bits = method.edge_bits
    if bits is None:
        return {}
    return {names[-1]: (bits, bits), names[0]: (bits, FLOAT_BITS)}


def _pinned(
    layers: dict[str, nn.Module], edges: dict[str, tuple[int, int]], method: "Method"
) -> dict[nn.Module, nn.Module]:
    """Return the replacements of edge layers, whose quantizers know one bit-width alone."""
    assert method.edge_bits is not None
    sibling = type(method)(method.options, (method.edge_bits,))
    sibling.edge = True
    replacements: dict[nn.Module, nn.Module] = {}
    for name, layer in layers.items():
        quantized = _quantized(name, layer, sibling)
        quantized.pinned = edges[name]
        quantized.switch(*edges[name])
        replacements[layer] = quantized
    return replacements


def _quantized(name: str, layer: nn.Module, method: "Method") -> QuantizedLayer:
    """Return the replacement of one layer; only known arithmetic is replaced."""
    if type(layer) is nn.Conv2d:
        return QuantizedConv2d(layer, method)
    if type(layer) is nn.Linear:
        return QuantizedLinear(layer, method)
    raise BitWidthError(
        f"Cannot quantize layer '{name}': {type(layer).__name__} computes something of its own.\n"
        f"  Quantized are layers of exactly the types nn.Conv2d and nn.Linear; name this one in "
        f"'keep' to leave it at full precision."
    )


def _normalization(norm: _BatchNorm, method: "Method") -> nn.Module:
    """Return the replacement of a batch norm."""
    return with_fused_parts(norm, method.normalization(norm))


def with_fused_parts(norm: nn.Module, replacement: nn.Module) -> nn.Module:
    """Return ``replacement``, followed by what is fused into ``norm``: dropout and activation."""
    fused = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(replacement, *fused) if fused else replacement
