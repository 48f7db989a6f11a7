"""Means and largest values of several values, and what is normalised by them."""

from typing import Any

import numpy as np
import torch

from bitswitch.deployment.onnx.operators.calls import Call, UnsupportedError, Value


def mean(call: Call) -> str:
    """Return the mean over some dimensions."""
    return _reduced(call, "ReduceMean")


def amax(call: Call) -> str:
    """Return the largest value over some dimensions."""
    return _reduced(call, "ReduceMax")


def _reduced(call: Call, operation: str) -> str:
    dims = call.get(1, "dim")
    dims = [dims] if isinstance(dims, int) else dims or [0]
    axes = [call.axis(dim, "a mean or maximum") for dim in dims]
    if 0 in axes or set(call.kwargs) - {"dim", "keepdim"}:
        raise UnsupportedError("a mean or maximum over all images")
    keep = int(call.get(2, "keepdim", False))
    return call.graph.add(operation, call.x, axes=axes, keepdims=keep)


def softmax(call: Call) -> str:
    """Return exponentials that add up to 1 along a dimension."""
    if call.kwargs.get("dtype") not in (None, torch.float32):
        raise UnsupportedError("softmax() in another precision than float32")
    return call.graph.add("Softmax", call.x, axis=call.axis(call.get(1, "dim"), "softmax()"))


def layer_norm(call: Call) -> str:
    """Return the input with mean 0 and variance 1 over its last dimensions, scaled and shifted."""
    shape = call.get(1, "normalized_shape")
    weight, bias = _parameter(call, 2, "weight"), _parameter(call, 3, "bias")
    return call.graph.add(
        "LayerNormalization",
        *(call.x, weight or call.graph.constant(np.ones(shape)), *([bias] if bias else [])),
        axis=-len(shape),
        epsilon=float(call.get(4, "eps", 1e-5)),
    )


def rms_norm(call: Call) -> str:
    """Return the input, divided by the root of its mean square over the last dimensions."""
    graph, shape, eps = call.graph, call.get(1, "normalized_shape"), call.get(3, "eps")
    eps = torch.finfo(torch.float32).eps if eps is None else eps
    squares = graph.add("Mul", call.x, call.x)
    axes = list(range(-len(shape), 0))
    share = graph.add("ReduceMean", squares, axes=axes, keepdims=1)
    deviation = graph.add("Sqrt", graph.add("Add", share, graph.constant(eps)))
    normed = graph.add("Div", call.x, deviation)
    weight = _parameter(call, 2, "weight")
    return graph.add("Mul", normed, weight) if weight else normed


def _parameter(call: Call, position: int, name: str) -> str | None:
    """Return the name of a parameter of a norm; None: it has none."""
    value: Any = call.get(position, name)
    if value is None or isinstance(value, Value):
        return value
    return call.graph.tensor(value)
