"""Activations and arithmetic: one value from one value, or from two at the same place."""

import math
from typing import Any

import numpy as np
import torch
from onnx import TensorProto

from bitswitch.deployment.onnx.operators.calls import Call, Size, UnsupportedError, Value


def relu(call: Call) -> str:
    """Return the larger of the input and 0."""
    return call.graph.add("Relu", call.x)


def relu6(call: Call) -> str:
    """Return the input, clipped to 0 and 6."""
    return call.graph.add("Clip", call.x, *map(call.graph.constant, (0.0, 6.0)))


def clamp(call: Call) -> str:
    """Return the input, clipped to numbers."""
    ends = call.get(1, "min"), call.get(2, "max")
    if not all(isinstance(end, int | float | None) for end in ends):
        raise UnsupportedError("clamp() to other things than numbers")
    names = ["" if end is None else call.graph.constant(end) for end in ends]
    return call.graph.add("Clip", call.x, *names)


def sigmoid(call: Call) -> str:
    """Return 1 / (1 + exp(-x))."""
    return call.graph.add("Sigmoid", call.x)


def tanh(call: Call) -> str:
    """Return the hyperbolic tangent."""
    return call.graph.add("Tanh", call.x)


def silu(call: Call) -> str:
    """Return the input times its sigmoid."""
    return call.graph.add("Mul", call.x, sigmoid(call))


def hardsigmoid(call: Call) -> str:
    """Return x / 6 + 1/2, clipped to 0 and 1."""
    return call.graph.add("HardSigmoid", call.x, alpha=1 / 6, beta=0.5)


def hardswish(call: Call) -> str:
    """Return the input times its hard sigmoid."""
    return call.graph.add("HardSwish", call.x)


def leaky_relu(call: Call) -> str:
    """Return the input, negative values times a slope."""
    slope = float(call.get(1, "negative_slope", 0.01))
    return call.graph.add("LeakyRelu", call.x, alpha=slope)


def gelu(call: Call) -> str:
    """Return the input times the share of a normal distribution below it, or its approximation."""
    x, graph, number = call.x, call.graph, call.graph.constant
    if call.get(1, "approximate", "none") == "tanh":
        cubed = graph.add("Mul", graph.add("Pow", x, number(3.0)), number(0.044715))
        inner = graph.add("Mul", graph.add("Add", x, cubed), number(math.sqrt(2 / math.pi)))
        share = graph.add("Tanh", inner)
    else:
        share = graph.add("Erf", graph.add("Mul", x, number(1 / math.sqrt(2))))
    doubled = graph.add("Mul", x, graph.add("Add", share, number(1.0)))
    return graph.add("Mul", doubled, number(0.5))


def negative(call: Call) -> str:
    """Return the input with the other sign."""
    return call.graph.add("Neg", call.x)


def root(call: Call) -> str:
    """Return the square root."""
    return call.graph.add("Sqrt", call.x)


def inverse_root(call: Call) -> str:
    """Return one over the square root."""
    return call.graph.add("Reciprocal", root(call))


def power(call: Call) -> str:
    """Return the input to the power of a number."""
    if not isinstance(exponent := call.get(1, "exponent"), int | float):
        raise UnsupportedError("a power of other things than a number")
    return call.graph.add("Pow", call.x, call.graph.constant(float(exponent)))


def add(call: Call) -> Any:
    """Return the sum of two values, or of a value and a number; sizes side by side."""
    if all(isinstance(one, tuple) for one in call.args):
        return call.args[0] + call.args[1]
    return _arithmetic(call, "Add")


def subtract(call: Call) -> str:
    """Return the difference of two values, or of a value and a number."""
    return _arithmetic(call, "Sub")


def multiply(call: Call) -> str:
    """Return the product of two values, or of a value and a number."""
    return _arithmetic(call, "Mul")


def divide(call: Call) -> str:
    """Return the quotient of two values, or of a value and a number."""
    return _arithmetic(call, "Div", of_sizes=False)


def divide_sizes(call: Call) -> str:
    """Return the quotient of two sizes, rounded down."""
    if not any(isinstance(one, Size) for one in call.args):
        raise UnsupportedError("a quotient of activations that is rounded")
    return _arithmetic(call, "Div")


def _arithmetic(call: Call, operation: str, of_sizes: bool = True) -> str:
    """Return the result of an operation on tensors and numbers, or on sizes and whole numbers."""
    known: tuple[type, ...] = (Value, int, float)
    dtype: type[np.generic] = np.float32
    sized = any(isinstance(one, Size) for one in call.args)
    if sized and of_sizes:
        known, dtype = (Size, int), np.int64
    if len(call.args) != 2 or call.kwargs or not all(isinstance(one, known) for one in call.args):
        raise UnsupportedError("arithmetic with other things than activations and numbers")
    operands = [
        one if isinstance(one, str) else call.graph.constant([one] if sized else one, dtype)
        for one in call.args
    ]
    name = call.graph.add(operation, *operands)
    return Size(name) if sized else name


def where(call: Call) -> str:
    """Return the second value where the first is true, the third elsewhere."""
    values = (_operand(call, call.get(i, name)) for i, name in ((1, "input"), (2, "other")))
    return call.graph.add("Where", call.value(0, "condition"), *values)


def masked_fill(call: Call) -> str:
    """Return the input, a number in its place where the mask is true."""
    value = _operand(call, call.get(2, "value"))
    return call.graph.add("Where", call.value(1, "mask"), value, call.x)


def _operand(call: Call, value: Any) -> str:
    """Return the name of a tensor or number."""
    if not isinstance(value, Value | int | float):
        raise UnsupportedError("a choice between other things than activations and numbers")
    return value if isinstance(value, Value) else call.graph.constant(value)


def whole(call: Call) -> str:
    """Return the input as whole numbers, int64."""
    return call.graph.add("Cast", call.x, to=TensorProto.INT64)


def floating(call: Call) -> str:
    """Return the input in float32."""
    return call.graph.add("Cast", call.x, to=TensorProto.FLOAT)


def converted(call: Call) -> str:
    """Return the input in another type, where numbers are float32 or int64."""
    dtype = call.get(1, "dtype")
    if dtype == call.x.form.dtype:
        return call.x
    known = {torch.float32: floating, torch.int64: whole}
    if dtype not in known:
        raise UnsupportedError(f"to({dtype}), where float32 and int64 have a translation")
    return known[dtype](call)


def unchanged(call: Call) -> str:
    """Return the input; so does dropout in evaluation mode."""
    return call.x


def dropout(call: Call) -> str:
    """Return the input, as long as dropout is told that this is evaluation."""
    if call.get(2, "training", True):
        raise UnsupportedError("dropout() that is not told training=self.training")
    return unchanged(call)
