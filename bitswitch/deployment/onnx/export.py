"""An integer model at one policy as an ONNX graph, for programs that run those.

Every quantized layer reads its input through ``QuantizeLinear`` and ``DequantizeLinear`` and its
codes through ``DequantizeLinear``. Codes of every bit-width lie in 8 bits; ``Clip`` keeps those of
inputs in their range. A program decides itself where it computes with integers; see
``bitswitch.deployment.onnx.patterns`` for what makes that possible and
``bitswitch.deployment.onnx.runtime.kernels`` for what onnxruntime makes of a graph.
"""

from operator import attrgetter
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, fx, nn

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx import patterns
from bitswitch.deployment.onnx.graph import Graph, Port
from bitswitch.deployment.onnx.layers import numpy, quantized_input, quantized_layer
from bitswitch.deployment.onnx.operators.calls import Call, Form, Size, UnsupportedError, Value
from bitswitch.deployment.onnx.operators.products import float_product
from bitswitch.deployment.onnx.operators.tables import FUNCTIONS, MODULES, written
from bitswitch.deployment.onnx.program import Program, whole
from bitswitch.deployment.onnx.tracing import FORM, is_in_place, trace
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
    return integers_of(whole(model), model, policy)


def integers_of(program: Program, model: IntegerModel, policy: int | Policy) -> onnx.ModelProto:
    """Return ``program``, a part or a use of the network, at ``policy``; see ``graph_of``."""
    return _translated(program, model, model.snapshot(policy), _Integers)


def float_graph_of(model: IntegerModel) -> onnx.ModelProto:
    """Return the same network in float32, to compare with: widest weights, inputs not quantized.

    Raises:
        EncodingError: the network does something that has no translation.
    """
    return floats_of(whole(model), model)


def floats_of(program: Program, model: IntegerModel) -> onnx.ModelProto:
    """Return ``program`` in float32; see ``float_graph_of``."""
    return _translated(program, model, model.snapshot(model.bitset[0]), _Walk)


def _translated(
    program: Program, model: IntegerModel, snapshot: Snapshot, translation: "type[_Walk]"
) -> onnx.ModelProto:
    name = model.facts.model.name
    try:
        traced = trace(program.net, *program.examples)
    except Exception as error:  # whatever a forward() meets that was not written for symbols
        first = str(error).partition("\n")[0]
        raise EncodingError(
            f"Model '{name}' cannot be written as ONNX: its forward() cannot be traced ({first})."
        ) from error
    walk = translation(name, program, snapshot, traced)
    for node in traced.nodes:
        walk.visit(node)
    try:
        return walk.graph.finish(program.inputs, walk.outputs)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EncodingError(f"Model '{name}' cannot be written as ONNX: {error}") from error


class _Walk:
    """Translates the operations of a network, in order, to float32.

    Operations that do not depend on the inputs are computed here, and are constants of the graph.

    Args:
        name: Of the model, for messages.
        program: The network.
        snapshot: Its integers and scales.
        traced: Its operations.
    """

    outputs: dict[str, Port]
    """Of the graph, by the names of their values, once the last operation is translated."""

    def __init__(self, name: str, program: Program, snapshot: Snapshot, traced: fx.Graph) -> None:
        self.name = name
        self.program = program
        self.inputs = iter(program.inputs)
        self.modules = dict(program.net.named_modules(remove_duplicate=False))
        self.snapshot = snapshot
        self.graph = Graph()
        self.results: dict[fx.Node, Any] = {}
        """What each operation gives: a name in the ONNX graph, a number or a constant tensor."""

    def visit(self, node: fx.Node) -> None:
        """Translate one operation.

        Raises:
            EncodingError: it has no translation.
        """
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.results.__getitem__)
        try:
            result = self._result(node, args, kwargs)
        except UnsupportedError as error:
            raise EncodingError(
                f"Model '{self.name}' cannot be written as ONNX: operation '{node.name}' is "
                f"{error}."
            ) from None
        self.results[node] = _named(result, node.meta[FORM])
        if is_in_place(node, self.modules):
            self.results[node.args[0]] = self.results[node]  # type: ignore[index]

    def _result(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        if node.op == "placeholder":
            return self._input()
        if node.op == "get_attr":
            return attrgetter(str(node.target))(self.program.net)
        if node.op == "output":
            return self._end(args[0])
        module = self.modules[str(node.target)] if node.op == "call_module" else None
        if not (isinstance(module, IntegerLayer | FoldedBatchNorm) or _of_graph((args, kwargs))):
            return _computed(node, module, args, kwargs)
        args, kwargs = fx.node.map_aggregate((args, kwargs), self._constant)
        if isinstance(module, IntegerLayer):
            return self.layer(node, module, args[0])
        if isinstance(module, FoldedBatchNorm):
            return self.norm(node, module, args[0])
        return self.other(node, Call(self.graph, args, kwargs, module))

    def _input(self) -> str:
        port = next(self.inputs, None)
        if port is None:
            raise UnsupportedError("a second input")
        return port.name

    def _end(self, result: Any) -> Any:
        found = result if isinstance(result, tuple) else (result,)
        if len(found) != len(self.program.outputs) or not all(isinstance(v, Value) for v in found):
            raise UnsupportedError("an output that is not one tensor of logits")
        self.outputs = {
            value: Port(name, value.form.dtype, _sizes(value))
            for name, value in zip(self.program.outputs, found, strict=True)
        }
        return result

    def _constant(self, value: Any) -> Any:
        """Return a tensor as a constant of the graph; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        return Value(self.graph.tensor(value), Form(tuple(value.shape), value.dtype))

    def layer(self, node: fx.Node, layer: IntegerLayer, x: Value) -> str:
        """Translate a quantized layer."""
        weight = numpy(self.snapshot.layers[layer.name].weight())
        bias = None if layer.bias is None else numpy(layer.bias)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        return float_product(self.graph, layer, x, weight, bias)

    def norm(self, node: fx.Node, norm: FoldedBatchNorm, x: Value) -> str:
        """Translate a batch norm."""
        multiplier, shift = (
            self.graph.constant(numpy(values).reshape(-1, *[1] * (len(x.shape) - 2)))
            for values in self.snapshot.norms[norm.name]
        )
        return self.graph.add("Add", self.graph.add("Mul", x, multiplier), shift)

    def other(self, node: fx.Node, call: Call) -> Any:
        """Translate any other operation."""
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


def _sizes(value: Value) -> tuple[int | str, ...]:
    """Return the sizes of an output; one that is open is the number of examples."""
    return tuple("n" if size is None else size for size in value.shape)


def _named(result: Any, form: Any) -> Any:
    """Return what a translation gave, its names with the forms of what they stand for."""
    if isinstance(result, str) and isinstance(form, Form):
        return Value(result, form)
    return tuple(map(_named, result, form)) if isinstance(result, list) else result


def _of_graph(arguments: Any) -> bool:
    """Return whether anything in ``arguments`` is computed by the graph."""
    if isinstance(arguments, dict):
        return _of_graph(tuple(arguments.values()))
    if isinstance(arguments, slice):
        return _of_graph((arguments.start, arguments.stop, arguments.step))
    if isinstance(arguments, tuple | list):
        return any(map(_of_graph, arguments))
    return isinstance(arguments, Value | Size)


def _computed(node: fx.Node, module: nn.Module | None, args: Any, kwargs: Any) -> Any:
    """Return what an operation gives that does not depend on the inputs."""
    with torch.no_grad():
        if module is not None:
            return module(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


class _Integers(_Walk):
    """Translates quantized layers to codes and their scales."""

    def __init__(self, name: str, program: Program, snapshot: Snapshot, traced: fx.Graph) -> None:
        super().__init__(name, program, snapshot, traced)
        self.patterns = patterns.find(traced.nodes, self.modules, snapshot.layers)

    def layer(self, node: fx.Node, layer: IntegerLayer, x: Value) -> str:
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

    def norm(self, node: fx.Node, norm: FoldedBatchNorm, x: Value) -> str:
        return x if node in self.patterns.norms.values() else super().norm(node, norm, x)

    def other(self, node: fx.Node, call: Call) -> Any:
        return call.x if node in self.patterns.activations.values() else super().other(node, call)
