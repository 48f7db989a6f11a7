"""Run integer models with onnxruntime, and see where it computes with integers."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime
import torch
from torch import Tensor

from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx import blocks
from bitswitch.deployment.onnx.export import graph_of
from bitswitch.types import Policy

LAYERS = frozenset(("Conv", "Gemm", "MatMul", "MatMulInteger", blocks.OPERATOR))
"""Operators of the layers of a graph; MatMul where it has a weight."""
INTEGER_KERNELS = frozenset(
    (
        *("QLinearConv", "QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat"),
        blocks.OPERATOR,
    )
)
"""What onnxruntime makes of those that it computes in integers; the last rounds float inputs."""
EXACT = "session.x64quantprecision"
"""Without this, sums are wrong on processors that lack VNNI instructions: pairs of products of
codes are added in 16 bits, which overflow. With it, codes of weights get an offset of 128 there."""
UNSAID = "session.qdq_matmulnbits_accuracy_level"
"""Onnxruntime makes products with dequantized weights ``MatMulNBits`` of its own accord, and would
round their inputs to 8 bits, which no graph asks for. At level 0 it does not."""

_TYPES = {"tensor(float)": torch.float32, "tensor(int64)": torch.int64}


class Kernels(NamedTuple):
    """How onnxruntime computes the convolutions and linear layers of a graph."""

    integer: int
    """Number of those in integers."""
    floating: int
    """Number of those in float32; codes are dequantized before."""


class Session:
    """A network at one policy, on the processor.

    Args:
        graph: From ``graph_of``.
        threads: That one request uses.
    """

    def __init__(self, graph: onnx.ModelProto, threads: int = 1) -> None:
        self._session = _session(graph, threads)
        self._inputs = [(one.name, _TYPES[one.type]) for one in self._session.get_inputs()]

    @classmethod
    def of(cls, model: IntegerModel, policy: int | Policy, threads: int = 1) -> "Session":
        """Return ``model`` at ``policy``; later switches of the model do not change it.

        Raises:
            BitWidthError: as ``IntegerModel.switch``.
            EncodingError: the network does something that has no translation.
        """
        return cls(graph_of(model, policy), threads)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return logits of ``inputs``, as ``IntegerModel`` does."""
        return self.run(inputs)[0]

    def run(self, *inputs: Tensor) -> list[Tensor]:
        """Return all outputs of a graph, its inputs given in their order."""
        found = self._session.run(
            None,
            {
                name: value.to(torch.device("cpu"), dtype).numpy()
                for (name, dtype), value in zip(self._inputs, inputs, strict=True)
            },
        )
        return [torch.from_numpy(value) for value in found]


def kernels(graph: onnx.ModelProto) -> Kernels:
    """Return what onnxruntime computes in integers here, once it has optimized ``graph``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        _session(graph, 1, path)
        optimized = onnx.load(path).graph.node
    integer = sum(node.op_type in INTEGER_KERNELS for node in optimized)
    return Kernels(integer, _layers(graph) - integer)


def _layers(graph: onnx.ModelProto) -> int:
    """Return the number of products with weights: with values that are no activations."""
    fixed = {constant.name for constant in graph.graph.initializer}
    count = 0
    for node in graph.graph.node:
        count += node.op_type in LAYERS and node.input[1] in fixed
        if fixed.issuperset(node.input):
            fixed.update(node.output)
    return count


def _session(
    graph: onnx.ModelProto, threads: int, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # it warns of an optimized graph that fits this machine alone
    options.add_session_config_entry(EXACT, "1")
    options.add_session_config_entry(UNSAID, "0")
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    session._model_bytes = None  # kept for other providers: all weights a second time
    return session
