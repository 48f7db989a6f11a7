"""An ONNX graph under construction: nodes and constants, named as they are added."""

from typing import Any

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
INPUT, OUTPUT = "images", "logits"


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

    def finish(
        self, output: str, image: tuple[int, ...], logits: tuple[int | None, ...]
    ) -> onnx.ModelProto:
        """Return the model, checked; what the logits do not need is left out.

        Args:
            output: Name of the logits.
            image: (channels, height, width).
            logits: Their shape after the number of images: (classes,).
        """
        self._nodes.append(helper.make_node("Identity", [output], [OUTPUT], OUTPUT))
        needed = self._needed()
        graph = helper.make_graph(
            [node for node in self._nodes if node.output[0] in needed],
            "bitswitch",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *image])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", *logits])],
            [constant for constant in self._constants if constant.name in needed],
        )
        versions = {"": OPSET} | {node.domain: 1 for node in graph.node if node.domain}
        opsets = [helper.make_opsetid(*each) for each in versions.items()]
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="bitswitch"
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _needed(self) -> set[str]:
        """Return the names of all values that the output depends on."""
        needed = {OUTPUT}
        for node in reversed(self._nodes):
            if node.output[0] in needed:
                needed.update(node.input)
        return needed
