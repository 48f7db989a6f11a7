"""What a quantized layer of an ONNX graph takes up: the operations between it and the next one.

Programs with integer kernels look for one pattern: dequantize, convolve, quantize. So a batch norm
goes into the scales and the bias of the layer before it, and an activation into the ends of the
grid that reads it: rounding keeps order, so clipping before it and after it are the same.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

from torch import fx, nn

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.onnx.operators.elementwise import relu, relu6
from bitswitch.deployment.onnx.operators.tables import FUNCTIONS, MODULES
from bitswitch.deployment.onnx.tracing import FORM
from bitswitch.deployment.snapshot import InputGrid, Operands, TokenGrid

ENDS = {relu: (0.0, inf), relu6: (0.0, 6.0)}
"""Smallest and largest output of the activations that a grid can take up."""

MATRIX = 2
"""Dimensions of a matrix."""


class Patterns(NamedTuple):
    """What becomes of the operations of a network; those that are in none stay as they are."""

    norms: dict[fx.Node, fx.Node]
    """Layer to the batch norm that it takes up."""
    activations: dict[fx.Node, fx.Node]
    """Layer to the activation before it that its input grid takes up."""
    requantized: set[fx.Node]
    """Layers whose output nothing but the grid of one other layer reads, and whose integer kernel
    takes up the bias: products of rows that have places keep theirs in float32."""


def find(
    nodes: Iterable[fx.Node], modules: Mapping[str, nn.Module], layers: Mapping[str, Operands]
) -> Patterns:
    """Return the patterns of a network.

    Args:
        nodes: Its operations.
        modules: By name.
        layers: Quantized ones at one policy, by name.
    """
    found = Patterns({}, {}, set())
    for node in nodes:
        layer = _called(node, modules)
        if not isinstance(layer, IntegerLayer):
            continue
        part = layers[layer.name]
        end, norm = node, _reader(node)
        foldable = part.weight_zero_point is None and _has_kernel(part)
        if norm is not None and foldable and _takes(node, norm, modules):
            found.norms[node] = end = norm
        if part.grid is not None:
            _follow(node, end, found, modules, layers)
    return found


def ends(node: fx.Node, modules: Mapping[str, nn.Module]) -> tuple[float, float]:
    """Return the smallest and the largest output of an activation."""
    return ENDS[_activation(node, modules)]  # type: ignore[index]


def _follow(
    node: fx.Node,
    end: fx.Node,
    found: Patterns,
    modules: Mapping[str, nn.Module],
    layers: Mapping[str, Operands],
) -> None:
    """Note whether the output of ``node``, at ``end``, goes to the grid of one layer alone."""
    after = _reader(end)
    activation = None
    if after is not None and _activation(after, modules) is not None:
        activation, after = after, _reader(after)
    layer = None if after is None else _called(after, modules)
    if after is None or not isinstance(layer, IntegerLayer):
        return
    grid = layers[layer.name].grid
    if not isinstance(grid, InputGrid) or grid.zero_point is not None:
        return
    part = layers[str(modules[str(node.target)].name)]
    if _has_kernel(part) and not _has_places(node, modules):
        found.requantized.add(node)
    if activation is not None:
        found.activations[after] = activation


def _has_kernel(part: Operands) -> bool:
    """Return whether integer kernels know such scales: none per group of inputs or per token."""
    return part.weight_scale.dim() == 1 and not isinstance(part.grid, TokenGrid)


def _reader(node: fx.Node) -> fx.Node | None:
    """Return the only operation that reads ``node``; None: there are several."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def _called(node: fx.Node, modules: Mapping[str, nn.Module]) -> nn.Module | None:
    return modules[str(node.target)] if node.op == "call_module" else None


def _takes(node: fx.Node, norm: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether ``norm`` is a batch norm over the channels that the layer ``node`` gives."""
    return isinstance(_called(norm, modules), FoldedBatchNorm) and not _has_places(node, modules)


def _has_places(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether ``node`` is a linear layer of rows [n, places, in], channels last."""
    linear = isinstance(_called(node, modules), nn.Linear)
    return linear and len(node.meta[FORM].shape) != MATRIX


def _activation(node: fx.Node, modules: Mapping[str, nn.Module]) -> object | None:
    """Return the translation of ``node`` if it is an activation."""
    module = _called(node, modules)
    known = FUNCTIONS.get(node.target) if module is None else MODULES.get(type(module))
    return known if known in ENDS else None
