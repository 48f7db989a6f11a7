"""One quantized layer as ONNX operators.

Codes of weights are int8, those of inputs uint8, with a zero point where they have a sign. Inputs
with a scale per token become codes in the graph, whose products are added up by ``MatMulInteger``.
Where scales belong to groups of inputs, rows of codes are reshaped to the weight; no integer kernel
knows such scales. Linear layers whose input stays float keep their codes in blocks; see
``bitswitch.deployment.onnx.blocks``.

Integer kernels round a bias to a multiple of the scale of their sums. At few bits that scale is
a large part of the output's, so narrow codes are shifted to the top of their 8 bits: the same
values, on a finer grid. Where no integer kernel can follow, the bias stays float32.
"""

from typing import NamedTuple

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from bitswitch.deployment.layers import IntegerConv2d, IntegerLayer, IntegerLinear
from bitswitch.deployment.onnx import blocks
from bitswitch.deployment.onnx.graph import Graph
from bitswitch.deployment.onnx.operators.calls import Value
from bitswitch.deployment.onnx.operators.products import Array, has_columns, product
from bitswitch.deployment.packing import BYTE
from bitswitch.deployment.snapshot import InputGrid, Operands, TokenGrid
from bitswitch.deployment.stored import INT32_MAX

ZERO = 128
"""Of codes that are moved to where they have no sign."""


class Rescaling(NamedTuple):
    """What turns the codes of a weight and sums into values, by output channel."""

    scale: Array
    """Of the codes of the weight, float32 [1 or out]; negative where a batch norm's multiplier is
    that the layer has taken up."""
    bias: Array | None
    """float32 [out]."""


def quantized_layer(
    graph: Graph,
    layer: IntegerLayer,
    part: Operands,
    x: Value,
    norm: tuple[Array, ...] | None,
    requantized: bool,
) -> str:
    """Return the output of a quantized layer.

    Args:
        graph: Is added to.
        layer: Whose bias, strides and so on are used.
        part: Its codes and scales.
        x: Its input, dequantized.
        norm: Multiplier and shift [out] of the batch norm that it takes up.
        requantized: Whether an integer kernel can give codes at once, so that the bias must be
            part of it.
    """
    found = Rescaling(numpy(part.weight_scale), None if layer.bias is None else numpy(layer.bias))
    if norm is not None:
        found = fold(found, *norm)
    rows = _rows(graph, layer, part, x, found.scale)
    if rows is not None:
        return rows if found.bias is None else graph.add("Add", rows, graph.constant(found.bias))
    if isinstance(part.grid, TokenGrid):
        x = Value(_by_token(graph, x, part.grid), x.form)
    weight = _weight(graph, part, found.scale, has_columns(layer, x))
    if found.bias is None or (requantized and fits(found, part)):
        return product(graph, layer, x, weight, found.bias)
    shape = (-1, 1, 1) if isinstance(layer, IntegerConv2d) else (-1,)
    bias = graph.constant(found.bias.reshape(shape))
    return graph.add("Add", product(graph, layer, x, weight, None), bias)


def _rows(graph: Graph, layer: IntegerLayer, part: Operands, x: Value, scale: Array) -> str | None:
    """Return the product of a linear layer that has an operator of its own; None: it has none.

    Args:
        graph: Is added to.
        layer: Of any kind.
        part: Its codes and scales.
        x: Its input, as it is.
        scale: Of its codes, see ``Rescaling``.
    """
    if isinstance(part.grid, TokenGrid) and scale.ndim == 1 and part.weight_zero_point is None:
        return _of_tokens(graph, part, x, scale)
    if part.grid is not None or not isinstance(layer, IntegerLinear):
        return None
    groups = part.weight_scale.shape[1] if part.weight_scale.dim() > 1 else 1
    size = blocks.size_of(part.codes.shape[1], groups)
    return None if size is None else _of_blocks(graph, part, x, scale, size)


def _of_tokens(graph: Graph, part: Operands, x: Value, scale: Array) -> str:
    """Return the product of codes by a scale for every token, and codes.

    Those of the weight are moved as well: sums of codes without a sign and codes with one overflow
    on processors without VNNI instructions, whatever a session is told.
    """
    assert isinstance(part.grid, TokenGrid)
    codes, by_token = _token_codes(graph, x, part.grid)
    zeros = [graph.constant(ZERO, np.uint8) for _ in range(2)]
    moved = graph.add("Cast", graph.add("Add", codes, graph.constant(ZERO)), to=TensorProto.UINT8)
    weight = graph.constant(numpy(part.codes).T.astype(np.int16) + ZERO, np.uint8)
    sums = graph.add(
        "Cast", graph.add("MatMulInteger", moved, weight, *zeros), to=TensorProto.FLOAT
    )
    return graph.add("Mul", sums, graph.add("Mul", by_token, graph.constant(scale)))


def _of_blocks(graph: Graph, part: Operands, x: Value, scale: Array, size: int) -> str:
    """Return the product of a float input and codes in blocks."""
    codes = numpy(part.codes)
    zero_point = None if part.weight_zero_point is None else numpy(part.weight_zero_point)
    found = blocks.in_blocks(codes, part.code_bits, scale, size)
    return blocks.product(graph, x, found, codes.shape, zero_point)


def quantized_input(
    graph: Graph,
    x: Value,
    grid: InputGrid | TokenGrid | None,
    clipped: tuple[float, float] | None,
    shifted: bool,
) -> Value:
    """Return ``x`` on its grid.

    Args:
        graph: Is added to.
        x: A value.
        grid: None: it is left as it is, as is one whose tokens have scales of their own.
        clipped: The ends that ``x`` should have been clipped to; None: it is not.
        shifted: Shift the codes to the top of their 8 bits; that takes time.
    """
    if grid is None or isinstance(grid, TokenGrid):
        return x
    zero_point = None if grid.zero_point is None else graph.constant(numpy(grid.zero_point))
    moved = x if zero_point is None else graph.add("Sub", x, zero_point)
    zero, scale = -grid.low, numpy(grid.scale)
    grid_of_codes = graph.constant(scale), graph.constant(zero, np.uint8)
    codes = graph.add("QuantizeLinear", moved, *grid_of_codes)
    ends = (grid.low, grid.high) if clipped is None else grid.encode(torch.tensor(clipped)).tolist()
    low, high = (int(end) + zero for end in ends)
    if (low, high) != (0, 2**BYTE - 1):
        codes = graph.add("Clip", codes, *(graph.constant(end, np.uint8) for end in (low, high)))
    room = BYTE - (grid.high - grid.low).bit_length() if shifted else 0
    if room:
        codes = graph.add("BitShift", codes, graph.constant(room, np.uint8), direction="LEFT")
    finer = graph.constant(scale / np.float32(2**room))
    values = graph.add("DequantizeLinear", codes, finer, graph.constant(zero << room, np.uint8))
    return Value(values if zero_point is None else graph.add("Add", values, zero_point), x.form)


def fold(found: Rescaling, multiplier: Array, shift: Array) -> Rescaling:
    """Return the scales and bias of a layer with the batch norm behind it.

    Args:
        found: Of the layer.
        multiplier: Of the batch norm [out].
        shift: The same.
    """
    scale = found.scale.astype(np.float64) * multiplier
    before = 0.0 if found.bias is None else found.bias.astype(np.float64) * multiplier
    return Rescaling(scale.astype(np.float32), (before + shift).astype(np.float32))


def fits(found: Rescaling, part: Operands) -> bool:
    """Return whether 32 bits hold the bias in multiples of the sums' scale, as kernels need it.

    They do not where a batch norm has all but switched a channel off.

    Args:
        found: With a bias.
        part: The layer; its input is quantized.
    """
    assert isinstance(part.grid, InputGrid)
    assert found.bias is not None
    room = 2.0 ** (2 * BYTE - part.code_bits - part.bits[1])
    scale = found.scale.astype(np.float64) * float(part.grid.scale) / room
    return bool((np.abs(found.bias) < INT32_MAX * np.abs(scale)).all())


def numpy(values: Tensor) -> Array:
    """Return ``values`` as an array."""
    array: Array = values.detach().to(torch.device("cpu")).numpy()
    return array


def _by_token(graph: Graph, x: str, grid: TokenGrid) -> str:
    """Return ``x`` [..., in] on a grid for every token, in float32."""
    return graph.add("Mul", *_token_codes(graph, x, grid))


def _token_codes(graph: Graph, x: str, grid: TokenGrid) -> tuple[str, str]:
    """Return codes of ``x`` [..., in] and the scale of every token: see ``MaxAbsQuantizer``."""
    largest = graph.add("ReduceMax", graph.add("Abs", x), axes=[-1], keepdims=1)
    scale = graph.add("Div", largest, graph.constant(grid.high))
    some = graph.add("Greater", scale, graph.constant(0.0))
    scale = graph.add("Where", some, scale, graph.constant(1.0))
    ends = map(graph.constant, (grid.low, grid.high))
    codes = graph.add("Round", graph.add("Clip", graph.add("Div", x, scale), *ends))
    return codes, scale


def _weight(graph: Graph, part: Operands, scale: Array, columns: bool) -> str:
    """Return the values of the codes: [out, in, ...] or [in, out].

    Args:
        graph: Is added to.
        part: The codes.
        scale: [1 or out], or per group of inputs [out, groups].
        columns: As ``product`` takes them.
    """
    if scale.ndim > 1:
        weight = _weight_by_group(graph, part, scale)
        return graph.add("Transpose", weight, perm=[1, 0]) if columns else weight
    codes = numpy(part.codes)
    zero_point = None if part.weight_zero_point is None else numpy(part.weight_zero_point)
    return _dequantized(graph, part, codes.T if columns else codes, scale, zero_point, columns)


def _weight_by_group(graph: Graph, part: Operands, scale: Array) -> str:
    """Return the values [out, in, ...] of codes with a scale [out, groups] for every group."""
    codes = numpy(part.codes)
    rows = codes.reshape(scale.size, -1, *codes.shape[2:])
    zero_point = None
    if part.weight_zero_point is not None:
        zero_point = numpy(part.weight_zero_point).reshape(-1)
    values = _dequantized(graph, part, rows, scale.reshape(-1), zero_point, columns=False)
    return graph.add("Reshape", values, graph.constant(codes.shape, np.int64))


def _dequantized(
    graph: Graph,
    part: Operands,
    codes: Array,
    scale: Array,
    zero_point: Array | None,
    columns: bool,
) -> str:
    """Return the values of ``codes`` by a scale for all, or for every row or column."""
    room = 2 ** (BYTE - part.code_bits)
    finer = scale / np.float32(room) if len(scale) > 1 else scale[0] / np.float32(room)
    names = graph.constant(codes * room, np.int8), graph.constant(finer)
    zero = graph.constant(np.zeros(np.shape(finer)), np.int8)
    values = graph.add("DequantizeLinear", *names, zero, axis=1 if columns else 0)
    if zero_point is None:
        return values
    by_row = zero_point if columns else zero_point.reshape(-1, *[1] * (codes.ndim - 1))
    return graph.add("Add", values, graph.constant(by_row))
