"""What a network does between its quantized layers, as ONNX operators."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bitswitch.deployment.onnx_graph import Graph

LAST = np.iinfo(np.int64).max
"""End of an open slice."""


class UnsupportedError(Exception):
    """An operation that has no translation here."""


class Call(NamedTuple):
    """One step of a network; values of the graph are given by their names."""

    graph: Graph
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: nn.Module | None
    """What is called; None: a function."""

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, given by position or by name; an attribute of a module."""
        if self.module is not None:
            return getattr(self.module, name, default)
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)


def relu(call: Call) -> str:
    """Return the larger of the input and 0."""
    return call.graph.add("Relu", call.args[0])


def relu6(call: Call) -> str:
    """Return the input, clipped to 0 and 6."""
    return call.graph.add("Clip", call.args[0], *map(call.graph.constant, (0.0, 6.0)))


def add(call: Call) -> str:
    """Return the sum of two values."""
    first, second = call.args
    if not (isinstance(first, str) and isinstance(second, str)) or call.kwargs:
        raise UnsupportedError("a sum of other things than two activations")
    return call.graph.add("Add", first, second)


def flatten(call: Call) -> str:
    """Return [n, rest]."""
    if (call.get(1, "start_dim", 0), call.get(2, "end_dim", -1)) != (1, -1):
        raise UnsupportedError("flatten() of other dimensions than all but the first")
    return call.graph.add("Flatten", call.args[0], axis=1)


def global_average(call: Call) -> str:
    """Return the mean over height and width."""
    if pair(call.get(1, "output_size")) != (1, 1):
        raise UnsupportedError("adaptive_avg_pool2d() to a larger output than one pixel")
    return call.graph.add("GlobalAveragePool", call.args[0])


def max_pool(call: Call) -> str:
    """Return the largest value of every window."""
    pool = call.module
    assert isinstance(pool, nn.MaxPool2d)
    return call.graph.add(
        "MaxPool",
        call.args[0],
        kernel_shape=pair(pool.kernel_size),
        strides=pair(pool.stride),
        pads=pair(pool.padding) * 2,
        dilations=pair(pool.dilation),
        ceil_mode=int(pool.ceil_mode),
    )


def unchanged(call: Call) -> str:
    """Return the input; so does dropout in evaluation mode."""
    name: str = call.args[0]
    return name


def select(call: Call) -> str:
    """Return the part of the input that slices cut out."""
    slices = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if not all(isinstance(part, slice) for part in slices):
        raise UnsupportedError("an index that is no slice")
    bounds = zip(
        *((part.start or 0, LAST if part.stop is None else part.stop) for part in slices),
        strict=True,
    )
    starts, ends = (call.graph.constant(values, np.int64) for values in bounds)
    axes = call.graph.constant(range(len(slices)), np.int64)
    steps = call.graph.constant([part.step or 1 for part in slices], np.int64)
    return call.graph.add("Slice", call.args[0], starts, ends, axes, steps)


def pad(call: Call) -> str:
    """Return the input with zeros around its last dimensions; it has four."""
    sides = call.get(1, "pad")
    if call.get(2, "mode", "constant") != "constant" or call.get(3, "value"):
        raise UnsupportedError("padding with other values than zeros")
    before, after = ([0] * (4 - len(sides) // 2) + list(sides[i::2])[::-1] for i in (0, 1))
    return call.graph.add("Pad", call.args[0], call.graph.constant([*before, *after], np.int64))


def float_layer(call: Call) -> str:
    """Return the output of a convolution or linear layer that is not quantized."""
    layer = call.module
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight = call.graph.constant(layer.weight.detach().cpu().numpy())
    bias = None if layer.bias is None else layer.bias.detach().cpu().numpy()
    if isinstance(layer, nn.Conv2d):
        return convolution(call.graph, layer, call.args[0], weight, bias)
    return linear(call.graph, call.args[0], weight, bias)


def convolution(
    graph: Graph, conv: nn.Conv2d, x: str, weight: str, bias: np.ndarray[Any, Any] | None
) -> str:
    """Return the convolution of ``x`` with ``weight`` [out, in / groups, kh, kw]."""
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UnsupportedError("a convolution that pads with other values than zeros")
    return graph.add(
        "Conv",
        *(x, weight, *([] if bias is None else [graph.constant(bias)])),
        kernel_shape=conv.kernel_size,
        strides=conv.stride,
        pads=pair(conv.padding) * 2,
        dilations=conv.dilation,
        group=conv.groups,
    )


def linear(graph: Graph, x: str, weight: str, bias: np.ndarray[Any, Any] | None) -> str:
    """Return the product of ``x`` [n, in] and ``weight`` [out, in], transposed."""
    inputs = (x, weight, *([] if bias is None else [graph.constant(bias)]))
    return graph.add("Gemm", *inputs, transB=1)


def pair(size: int | Sequence[int]) -> tuple[int, ...]:
    """Return (height, width) of an argument that may be one number for both."""
    return (size, size) if isinstance(size, int) else tuple(size)


Translation = Callable[[Call], str]

FUNCTIONS: dict[object, Translation] = {
    functional.relu: relu,
    torch.relu: relu,
    "relu": relu,
    functional.relu6: relu6,
    operator.add: add,
    operator.iadd: add,
    torch.add: add,
    torch.flatten: flatten,
    "flatten": flatten,
    functional.adaptive_avg_pool2d: global_average,
    operator.getitem: select,
    functional.pad: pad,
}
"""Functions, and methods by name."""
MODULES: dict[type[nn.Module], Translation] = {
    nn.ReLU: relu,
    nn.ReLU6: relu6,
    nn.Flatten: flatten,
    nn.AdaptiveAvgPool2d: global_average,
    nn.MaxPool2d: max_pool,
    nn.Dropout: unchanged,
    nn.Identity: unchanged,
    nn.Conv2d: float_layer,
    nn.Linear: float_layer,
}
