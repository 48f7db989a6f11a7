"""What a network does between its quantized layers, as ONNX operators.

``docs/explanation/onnx.md`` lists what has a translation here.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bitswitch.deployment.onnx.graph import Graph

LAST = np.iinfo(np.int64).max
"""End of an open slice."""


class UnsupportedError(Exception):
    """An operation that has no translation here."""


class Sizes(str):
    """Name of the sizes of a value, int64 [dimensions]."""

    __slots__ = ()


class Size(str):
    """Name of one size, int64 [1]."""

    __slots__ = ()


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


def sigmoid(call: Call) -> str:
    """Return 1 / (1 + exp(-x))."""
    return call.graph.add("Sigmoid", call.args[0])


def tanh(call: Call) -> str:
    """Return the hyperbolic tangent."""
    return call.graph.add("Tanh", call.args[0])


def silu(call: Call) -> str:
    """Return the input times its sigmoid."""
    return call.graph.add("Mul", call.args[0], sigmoid(call))


def hardsigmoid(call: Call) -> str:
    """Return x / 6 + 1/2, clipped to 0 and 1."""
    return call.graph.add("HardSigmoid", call.args[0], alpha=1 / 6, beta=0.5)


def hardswish(call: Call) -> str:
    """Return the input times its hard sigmoid."""
    return call.graph.add("HardSwish", call.args[0])


def leaky_relu(call: Call) -> str:
    """Return the input, negative values times a slope."""
    slope = float(call.get(1, "negative_slope", 0.01))
    return call.graph.add("LeakyRelu", call.args[0], alpha=slope)


def gelu(call: Call) -> str:
    """Return the input times the share of a normal distribution below it."""
    if call.get(1, "approximate", "none") != "none":
        raise UnsupportedError("gelu() by an approximation")
    x, graph = call.args[0], call.graph
    share = graph.add("Erf", graph.add("Mul", x, graph.constant(1 / math.sqrt(2))))
    doubled = graph.add("Mul", x, graph.add("Add", share, graph.constant(1.0)))
    return graph.add("Mul", doubled, graph.constant(0.5))


def softmax(call: Call) -> str:
    """Return exponentials that add up to 1 along a dimension."""
    return call.graph.add("Softmax", call.args[0], axis=_whole(call.get(1, "dim"), "softmax()"))


def add(call: Call) -> str:
    """Return the sum of two values, or of a value and a number."""
    return _arithmetic(call, "Add")


def subtract(call: Call) -> str:
    """Return the difference of two values, or of a value and a number."""
    return _arithmetic(call, "Sub")


def multiply(call: Call) -> str:
    """Return the product of two values, or of a value and a number."""
    return _arithmetic(call, "Mul")


def divide(call: Call) -> str:
    """Return the quotient of two values, or of a value and a number."""
    return _arithmetic(call, "Div")


def _arithmetic(call: Call, operation: str) -> str:
    numbers = [not isinstance(one, str) for one in call.args]
    known = all(isinstance(one, str | int | float) for one in call.args)
    sized = any(isinstance(one, Size | Sizes) for one in call.args)
    if len(numbers) != 2 or all(numbers) or not known or sized or call.kwargs:
        raise UnsupportedError("arithmetic with other things than activations and numbers")
    operands = [one if isinstance(one, str) else call.graph.constant(one) for one in call.args]
    return call.graph.add(operation, *operands)


def concatenate(call: Call) -> str:
    """Return values side by side along a dimension."""
    return call.graph.add("Concat", *call.args[0], axis=_whole(call.get(1, "dim", 0), "cat()"))


def mean(call: Call) -> str:
    """Return the mean over some dimensions."""
    return _reduced(call, "ReduceMean")


def amax(call: Call) -> str:
    """Return the largest value over some dimensions."""
    return _reduced(call, "ReduceMax")


def _reduced(call: Call, operation: str) -> str:
    dims = call.get(1, "dim")
    axes = [dims] if isinstance(dims, int) else dims
    if not axes or 0 in axes or set(call.kwargs) - {"dim", "keepdim"}:
        raise UnsupportedError("a mean or maximum over all images")
    keep = int(call.get(2, "keepdim", False))
    return call.graph.add(operation, call.args[0], axes=list(axes), keepdims=keep)


def permute(call: Call) -> str:
    """Return the input with its dimensions in another order."""
    order = call.args[1:] if isinstance(call.args[-1], int) else call.args[-1]
    return call.graph.add("Transpose", call.args[0], perm=list(order))


def sizes(call: Call) -> str:
    """Return the sizes of a value, or the one that is asked for."""
    found = Sizes(call.graph.add("Shape", call.args[0]))
    dim = call.get(1, "dim")
    return found if dim is None else _size(call.graph, found, dim)


def attribute(call: Call) -> str:
    """Return ``x.shape``."""
    if call.args[1] != "shape":
        raise UnsupportedError(f"'x.{call.args[1]}', of which only shape has a translation")
    return Sizes(call.graph.add("Shape", call.args[0]))


def _size(graph: Graph, found: str, dim: Any) -> Size:
    index = graph.constant([_whole(dim, "an index of x.shape")], np.int64)
    return Size(graph.add("Gather", found, index))


def reshape(call: Call) -> str:
    """Return the input in another shape, made of numbers and sizes."""
    graph, shape = call.graph, call.args[1:]
    if len(shape) == 1 and not isinstance(shape[0], int | str):
        shape = tuple(shape[0])
    if not shape or not all(isinstance(one, int | Size) for one in shape):
        raise UnsupportedError("a shape of other things than numbers and single sizes")
    parts = [one if isinstance(one, str) else graph.constant([one], np.int64) for one in shape]
    return graph.add("Reshape", call.args[0], graph.add("Concat", *parts, axis=0))


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int):
        raise UnsupportedError(f"{what} by other things than a number")
    return value


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
    if call.get(6, "return_indices", False):
        raise UnsupportedError("max_pool2d() with indices")
    return call.graph.add(
        "MaxPool",
        call.args[0],
        **_window(call),
        dilations=pair(call.get(4, "dilation", 1)),
        ceil_mode=int(call.get(5, "ceil_mode", False)),
    )


def average_pool(call: Call) -> str:
    """Return the mean of every window."""
    if call.get(4, "ceil_mode", False) or call.get(6, "divisor_override"):
        raise UnsupportedError("avg_pool2d() with ceil_mode or divisor_override")
    counted = int(call.get(5, "count_include_pad", True))
    return call.graph.add("AveragePool", call.args[0], **_window(call), count_include_pad=counted)


def _window(call: Call) -> dict[str, Any]:
    kernel = pair(call.get(1, "kernel_size"))
    stride = call.get(2, "stride")
    return {
        "kernel_shape": kernel,
        "strides": pair(stride) if stride else kernel,
        "pads": pair(call.get(3, "padding", 0)) * 2,
    }


def unchanged(call: Call) -> str:
    """Return the input; so does dropout in evaluation mode."""
    name: str = call.args[0]
    return name


def dropout(call: Call) -> str:
    """Return the input, as long as dropout is told that this is evaluation."""
    if call.get(2, "training", True):
        raise UnsupportedError("dropout() that is not told training=self.training")
    return unchanged(call)


def select(call: Call) -> str:
    """Return the part of the input that slices cut out, or one of its sizes."""
    if isinstance(call.args[0], Sizes):
        return _size(call.graph, call.args[0], call.args[1])
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
    left, right, top, bottom = conv._reversed_padding_repeated_twice  # of padding="same" too
    pads = [top, left, bottom, right]
    if conv.padding_mode != "zeros":
        x, pads = _padded(graph, x, pads, conv.padding_mode), [0] * 4
    return graph.add(
        "Conv",
        *(x, weight, *([] if bias is None else [graph.constant(bias)])),
        kernel_shape=conv.kernel_size,
        strides=conv.stride,
        pads=pads,
        dilations=conv.dilation,
        group=conv.groups,
    )


def _padded(graph: Graph, x: str, pads: Sequence[int], mode: str) -> str:
    """Return ``x`` with values of its own around it."""
    if mode not in _PADDING_MODES:
        raise UnsupportedError(f"a convolution with padding_mode='{mode}'")
    top, left, bottom, right = pads
    widths = graph.constant([0, 0, top, left, 0, 0, bottom, right], np.int64)
    return graph.add("Pad", x, widths, mode=_PADDING_MODES[mode])


def linear(graph: Graph, x: str, weight: str, bias: np.ndarray[Any, Any] | None) -> str:
    """Return the product of ``x`` [n, in] and ``weight`` [out, in], transposed."""
    inputs = (x, weight, *([] if bias is None else [graph.constant(bias)]))
    return graph.add("Gemm", *inputs, transB=1)


def pair(size: int | Sequence[int]) -> tuple[int, ...]:
    """Return (height, width) of an argument that may be one number for both."""
    return (size, size) if isinstance(size, int) else tuple(size)


_PADDING_MODES = {"reflect": "reflect", "replicate": "edge"}

Translation = Callable[[Call], str]

FUNCTIONS: dict[object, Translation] = {
    functional.relu: relu,
    torch.relu: relu,
    torch.relu_: relu,
    "relu": relu,
    "relu_": relu,
    functional.relu6: relu6,
    functional.silu: silu,
    functional.gelu: gelu,
    functional.hardswish: hardswish,
    functional.hardsigmoid: hardsigmoid,
    functional.leaky_relu: leaky_relu,
    functional.sigmoid: sigmoid,
    torch.sigmoid: sigmoid,
    "sigmoid": sigmoid,
    functional.tanh: tanh,
    torch.tanh: tanh,
    "tanh": tanh,
    functional.softmax: softmax,
    torch.softmax: softmax,
    "softmax": softmax,
    operator.add: add,
    operator.iadd: add,
    torch.add: add,
    operator.sub: subtract,
    operator.mul: multiply,
    operator.imul: multiply,
    torch.mul: multiply,
    operator.truediv: divide,
    torch.cat: concatenate,
    torch.flatten: flatten,
    "flatten": flatten,
    "view": reshape,
    "reshape": reshape,
    torch.reshape: reshape,
    "permute": permute,
    torch.permute: permute,
    "size": sizes,
    getattr: attribute,
    operator.getitem: select,
    "contiguous": unchanged,
    "mean": mean,
    torch.mean: mean,
    "amax": amax,
    torch.amax: amax,
    functional.adaptive_avg_pool2d: global_average,
    functional.max_pool2d: max_pool,
    torch.max_pool2d: max_pool,
    functional.avg_pool2d: average_pool,
    functional.pad: pad,
    functional.dropout: dropout,
}
"""Functions, and methods by name."""
MODULES: dict[type[nn.Module], Translation] = {
    nn.ReLU: relu,
    nn.ReLU6: relu6,
    nn.SiLU: silu,
    nn.GELU: gelu,
    nn.Hardswish: hardswish,
    nn.Hardsigmoid: hardsigmoid,
    nn.LeakyReLU: leaky_relu,
    nn.Sigmoid: sigmoid,
    nn.Tanh: tanh,
    nn.Softmax: softmax,
    nn.Flatten: flatten,
    nn.AdaptiveAvgPool2d: global_average,
    nn.MaxPool2d: max_pool,
    nn.AvgPool2d: average_pool,
    nn.Dropout: unchanged,
    nn.Dropout1d: unchanged,
    nn.Dropout2d: unchanged,
    nn.Identity: unchanged,
    nn.Conv2d: float_layer,
    nn.Linear: float_layer,
}


_SIGNS = {
    operator.add: "+",
    operator.iadd: "+=",
    operator.sub: "-",
    operator.mul: "*",
    operator.imul: "*=",
    operator.truediv: "/",
    operator.getitem: "x[i:j]",
    getattr: "x.shape",
}


def written(target: Any) -> str:
    """Return how a program writes a call of ``target``, a key of the tables above."""
    name = getattr(target, "__name__", str(target))
    if isinstance(target, str):
        return f"x.{target}()"
    if isinstance(target, type):
        return f"nn.{name}" if target.__module__.startswith("torch.nn") else name
    if target in _SIGNS:
        return _SIGNS[target]
    module = "F" if getattr(functional, name, None) is target else "torch"
    return f"{module}.{name}"
