"""An integer model at one policy as an ONNX graph, for programs that run those.

Every quantized layer reads its input through ``QuantizeLinear`` and ``DequantizeLinear`` and its
codes through ``DequantizeLinear``. Codes of every bit-width lie in 8 bits; ``Clip`` keeps those of
inputs in their range. A program decides itself where it computes with integers; see
``bitswitch.deployment.onnx.patterns`` for what makes that possible and
``bitswitch.deployment.onnx.runtime.kernels`` for what onnxruntime makes of a graph.
"""

from pathlib import Path
from typing import Any

import onnx
from torch import fx, nn

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx import patterns
from bitswitch.deployment.onnx.graph import INPUT, Graph
from bitswitch.deployment.onnx.layers import numpy, product, quantized_input, quantized_layer
from bitswitch.deployment.onnx.operators import FUNCTIONS, MODULES, Call, UnsupportedError, written
from bitswitch.deployment.snapshot import Snapshot
from bitswitch.errors import EncodingError
from bitswitch.results.files import write_bytes
from bitswitch.types import Policy


def write(model: IntegerModel, policy: int | Policy, path: Path) -> None:
    """Write ``model`` at ``policy`` to ``path``; see ``graph_of``."""
    write_bytes(path, graph_of(model, policy).SerializeToString())


def graph_of(model: IntegerModel, policy: int | Policy) -> onnx.ModelProto:
    """Return the network at ``policy``; the model is left at its bit-widths.

    Raises:
        BitWidthError: as ``IntegerModel.switch``.
        EncodingError: the network does something that has no translation.
    """
    return _translated(model, model.snapshot(policy), _Integers)


def float_graph_of(model: IntegerModel) -> onnx.ModelProto:
    """Return the same network in float32, to compare with: widest weights, inputs not quantized.

    Raises:
        EncodingError: the network does something that has no translation.
    """
    return _translated(model, model.snapshot(model.bitset[0]), _Walk)


class _Tracer(fx.Tracer):
    """Finds the steps of a network; layers are one step each."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, IntegerLayer | FoldedBatchNorm) or type(m) in MODULES
        return known or super().is_leaf_module(m, module_qualified_name)


def _translated(
    model: IntegerModel, snapshot: Snapshot, translation: "type[_Walk]"
) -> onnx.ModelProto:
    try:
        traced = _Tracer().trace(model.net)
    except Exception as error:  # whatever a forward() meets that was not written for symbols
        raise EncodingError(
            f"Model '{model.facts.model.name}' cannot be written as ONNX: its forward() cannot be "
            f"traced ({error})."
        ) from error
    walk = translation(model, snapshot, traced)
    output = ""
    for node in traced.nodes:
        output = walk.visit(node)
    try:
        return walk.graph.finish(output, model.facts.image, model.facts.classes)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EncodingError(
            f"Model '{model.facts.model.name}' cannot be written as ONNX: {error}"
        ) from error


class _Walk:
    """Translates the steps of a network, in order, to float32.

    Args:
        model: The network.
        snapshot: Its integers and scales.
        traced: Its steps.
    """

    def __init__(self, model: IntegerModel, snapshot: Snapshot, traced: fx.Graph) -> None:
        self.name = model.facts.model.name
        self.modules = dict(model.net.named_modules(remove_duplicate=False))
        self.snapshot = snapshot
        self.graph = Graph()
        self.names: dict[fx.Node, str] = {}
        """Values of the ONNX graph by the step that makes them."""

    def visit(self, node: fx.Node) -> str:
        """Translate one step; return the name of what it makes.

        Raises:
            EncodingError: it has no translation.
        """
        args: Any
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.names.__getitem__)
        module = self.modules[str(node.target)] if node.op == "call_module" else None
        try:
            if isinstance(module, IntegerLayer):
                name = self.layer(node, module, args[0])
            elif isinstance(module, FoldedBatchNorm):
                name = self.norm(node, module, args[0])
            else:
                name = self.other(node, Call(self.graph, args, kwargs, module))
        except UnsupportedError as error:
            raise EncodingError(
                f"Model '{self.name}' cannot be written as ONNX: step '{node.name}' is {error}."
            ) from None
        self.names[node] = name
        return name

    def layer(self, node: fx.Node, layer: IntegerLayer, x: str) -> str:
        """Translate a quantized layer."""
        weight = self.graph.constant(numpy(self.snapshot.layers[layer.name].weight()))
        bias = None if layer.bias is None else numpy(layer.bias)
        return product(self.graph, layer, x, weight, bias)

    def norm(self, node: fx.Node, norm: FoldedBatchNorm, x: str) -> str:
        """Translate a batch norm."""
        multiplier, shift = (
            self.graph.constant(numpy(values).reshape(-1, 1, 1))
            for values in self.snapshot.norms[norm.name]
        )
        return self.graph.add("Add", self.graph.add("Mul", x, multiplier), shift)

    def other(self, node: fx.Node, call: Call) -> str:
        """Translate any other step."""
        if node.op == "placeholder":
            return INPUT
        if node.op == "output":
            if not isinstance(call.args[0], str):
                raise UnsupportedError("an output that is not one tensor of logits")
            return call.args[0]
        target = node.target if call.module is None else type(call.module)
        known = FUNCTIONS.get(target) if call.module is None else MODULES.get(target)  # type: ignore[arg-type]
        if known is None:
            able = ", ".join(sorted({written(one) for one in (*FUNCTIONS, *MODULES)}))
            raise UnsupportedError(
                f"'{written(target)}', which has no translation.\n  Those that have one: {able}.\n"
                f"  The integer engine runs the network all the same: bitswitch infer --engine "
                f"integers"
            )
        return known(call)


class _Integers(_Walk):
    """Translates quantized layers to codes and their scales."""

    def __init__(self, model: IntegerModel, snapshot: Snapshot, traced: fx.Graph) -> None:
        super().__init__(model, snapshot, traced)
        self.patterns = patterns.find(traced.nodes, self.modules, snapshot.layers)

    def layer(self, node: fx.Node, layer: IntegerLayer, x: str) -> str:
        part = self.snapshot.layers[layer.name]
        activation = self.patterns.activations.get(node)
        ends = None if activation is None else patterns.ends(activation, self.modules)
        norm = self.patterns.norms.get(node)
        folded = None
        if norm is not None:
            name = self.modules[str(norm.target)].name
            folded = tuple(map(numpy, self.snapshot.norms[str(name)]))
        requantized = node in self.patterns.requantized
        x = quantized_input(self.graph, x, part.grid, ends, requantized)
        return quantized_layer(self.graph, layer, part, x, folded, requantized)

    def norm(self, node: fx.Node, norm: FoldedBatchNorm, x: str) -> str:
        return x if node in self.patterns.norms.values() else super().norm(node, norm, x)

    def other(self, node: fx.Node, call: Call) -> str:
        taken = node in self.patterns.activations.values()
        return str(call.args[0]) if taken else super().other(node, call)
