"""Products: layers that are not quantized, products of activations, attention, tables."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bitswitch.deployment.onnx.graph import Graph
from bitswitch.deployment.onnx.operators.calls import Call, UnsupportedError, Value
from bitswitch.deployment.onnx.operators.shapes import exchanged

Array = np.ndarray[Any, Any]


def float_layer(call: Call) -> str:
    """Return the output of a convolution or linear layer that is not quantized."""
    layer = call.module
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight = layer.weight.detach().cpu().numpy()
    bias = None if layer.bias is None else layer.bias.detach().cpu().numpy()
    return float_product(call.graph, layer, call.x, weight, bias)


def float_product(
    graph: Graph, layer: nn.Conv2d | nn.Linear, x: Value, weight: Array, bias: Array | None
) -> str:
    """Return what ``layer`` computes of ``x`` and a weight [out, in, ...] in float32."""
    columns = has_columns(layer, x)
    return product(graph, layer, x, graph.constant(weight.T if columns else weight), bias)


def has_columns(layer: nn.Module, x: Value) -> bool:
    """Return whether ``product`` takes the weight as [in, out].

    It does where a linear layer reads rows that have places: programs have integer kernels for
    MatMul there, and Gemm takes matrices alone.
    """
    return isinstance(layer, nn.Linear) and len(x.shape) != 2


def product(graph: Graph, layer: nn.Module, x: Value, weight: str, bias: Array | None) -> str:
    """Return what ``layer`` computes of ``x`` and ``weight``.

    Args:
        graph: Is added to.
        layer: A convolution or linear layer.
        x: Its input.
        weight: [out, in, ...], or [in, out]: see ``has_columns``.
        bias: [out].
    """
    if isinstance(layer, nn.Conv2d):
        return convolution(graph, layer, x, weight, bias)
    if has_columns(layer, x):
        rows = graph.add("MatMul", x, weight)
        return rows if bias is None else graph.add("Add", rows, graph.constant(bias))
    inputs = (x, weight, *([] if bias is None else [graph.constant(bias)]))
    return graph.add("Gemm", *inputs, transB=1)


def convolution(graph: Graph, conv: nn.Conv2d, x: str, weight: str, bias: Array | None) -> str:
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


_PADDING_MODES = {"reflect": "reflect", "replicate": "edge"}


def matrix_product(call: Call) -> str:
    """Return the product of matrices, which the last two dimensions are."""
    return call.graph.add(
        "MatMul", call.x, call.value(1, "mat2" if "mat2" in call.kwargs else "other")
    )


def attention(call: Call) -> str:
    """Return values, weighted by the softmax of products of queries and keys."""
    graph = call.graph
    query, key, value = (call.value(i, name) for i, name in enumerate(("query", "key", "value")))
    if call.get(4, "dropout_p", 0.0) or call.kwargs.get("enable_gqa"):
        raise UnsupportedError("attention with dropout, or with fewer keys than queries")
    scale, width = call.kwargs.get("scale"), query.shape[-1]
    if width is None:
        raise UnsupportedError("attention over images")
    scale = 1 / math.sqrt(width) if scale is None else scale
    rank = len(key.shape)
    turned = graph.add("Transpose", key, perm=exchanged(rank, rank - 2, rank - 1))
    scaled = graph.add("Mul", query, graph.constant(scale))
    scores = graph.add("MatMul", scaled, turned)
    mask = _mask(call, query, key)
    if mask is not None:
        scores = graph.add("Add", scores, mask)
    return graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)


def _mask(call: Call, query: Value, key: Value) -> str | None:
    """Return what is added to the scores of attention; None: nothing."""
    mask = call.get(3, "attn_mask")
    if call.get(5, "is_causal", False):
        rows, columns = query.shape[-2], key.shape[-2]
        if rows is None or columns is None:
            raise UnsupportedError("causal attention over images")
        return call.graph.constant(np.triu(np.full((rows, columns), -np.inf), 1))
    if mask is None or mask.form.dtype != torch.bool:
        return mask  # type: ignore[no-any-return]
    seen, hidden = call.graph.constant(0.0), call.graph.constant(-np.inf)
    return call.graph.add("Where", mask, seen, hidden)


def embedding(call: Call) -> str:
    """Return the rows of a table that the input numbers."""
    table = call.get(1, "weight")
    table = table if isinstance(table, Value) else call.graph.tensor(table)
    return call.graph.add("Gather", table, call.x)
