"""An ONNX graph under construction: nodes and constants, named as they are added."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 17
"""Scales per channel need 13."""
IR_VERSION = 8
"""Goes with the operators: older programs read the file too."""
TYPES = {torch.float32: TensorProto.FLOAT, torch.int64: TensorProto.INT64}


class Port(NamedTuple):
    """A tensor that goes into a graph or comes out of it."""

    name: str
    dtype: torch.dtype
    shape: tuple[int | str, ...]
    """Sizes; one that is open has a name."""

    def proto(self) -> onnx.ValueInfoProto:
        """Return it as a graph says it."""
        return helper.make_tensor_value_info(self.name, TYPES[self.dtype], self.shape)


class Graph:
    """Nodes in the order in which they are computed."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """Return the name of a new constant; none is shared, because optimizers change them."""
        name = f"c{len(self._constants)}"
        array = np.ascontiguousarray(values, dtype=dtype).reshape(np.shape(values))
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def tensor(self, values: Tensor) -> str:
        """Return the name of a new constant: float32, int64 or bool as ``values`` are."""
        dtype: type[np.generic] = np.float32
        if not values.is_floating_point():
            dtype = np.bool_ if values.dtype == torch.bool else np.int64
        return self.constant(values.detach().cpu().numpy(), dtype)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; return the name of its output.

        Args:
            operator: Of ONNX itself, or of the ``domain`` that the attributes name.
            inputs: Names.
            attributes: Of the node.
        """
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def finish(self, inputs: Sequence[Port], outputs: Mapping[str, Port]) -> onnx.ModelProto:
        """Return the model, checked; what no output needs is left out.

        Args:
            inputs: All of them.
            outputs: By the names that they have in the graph so far.
        """
        for name, port in outputs.items():
            self._nodes.append(helper.make_node("Identity", [name], [port.name], port.name))
        needed = self._needed({port.name for port in outputs.values()})
        graph = helper.make_graph(
            [node for node in self._nodes if node.output[0] in needed],
            "bitswitch",
            [port.proto() for port in inputs],
            [port.proto() for port in outputs.values()],
            [constant for constant in self._constants if constant.name in needed],
        )
        versions = {"": OPSET} | {node.domain: 1 for node in graph.node if node.domain}
        opsets = [helper.make_opsetid(*each) for each in versions.items()]
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="bitswitch"
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _needed(self, outputs: set[str]) -> set[str]:
        """Return the names of all values that ``outputs`` depend on."""
        needed = set(outputs)
        for node in reversed(self._nodes):
            if node.output[0] in needed:
                needed.update(node.input)
        return needed
