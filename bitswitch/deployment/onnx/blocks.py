"""Linear layers whose input stays float32: codes of few bits in blocks, for ``MatMulNBits``.

This operator of onnxruntime reads weights of 2, 4 and 8 bits as they are, so that a product moves a
fraction of the bytes. It rounds inputs itself, to 8 bits in every block, and adds up integers.
"""

from typing import NamedTuple

import numpy as np

from bitswitch.deployment.onnx.graph import Graph
from bitswitch.deployment.onnx.operators.calls import Value
from bitswitch.deployment.onnx.operators.products import Array
from bitswitch.deployment.onnx.operators.shapes import reshaped
from bitswitch.deployment.packing import BYTE

OPERATOR, DOMAIN = "MatMulNBits", "com.microsoft"
KERNELS = (2, 4, 8)
"""Bits of the codes that it reads; others are kept in the next larger ones."""
BLOCKS = (128, 64, 32, 16)
"""Inputs that share a scale, the fastest first."""
FILLED = 32
"""Where no block divides the inputs and all share a scale: the last block is filled with zeros."""
SLOW = 2, 16
"""Bits and block without a kernel of their own: a hundred times slower than 4 bits."""
ACCURACY_LEVEL = 4
"""Inputs are rounded to 8 bits. At level 0 they stay float32 and weights are made float32 at every
call: at 2 and 8 bits that takes up to a hundred times as long."""


class Blocks(NamedTuple):
    """Codes as the operator takes them."""

    bits: int
    """Of ``KERNELS``."""
    size: int
    """Of ``BLOCKS``."""
    codes: Array
    """uint8 [out, blocks, size * bits / 8], lowest bits first; the middle code stands for 0."""
    scale: Array
    """float32 [out * blocks]."""


def size_of(inputs: int, groups: int) -> int | None:
    """Return how many inputs one block has; None: no block fits.

    Args:
        inputs: Of the layer.
        groups: Of inputs that have scales of their own; they are of one size.

    >>> size_of(768, 1), size_of(768, 8), size_of(100, 1), size_of(100, 5)
    (128, 32, 32, None)
    """
    fitting = (size for size in BLOCKS if inputs // groups % size == 0)
    return next(fitting, FILLED if groups == 1 else None)


def in_blocks(codes: Array, bits: int, scale: Array, size: int) -> Blocks:
    """Return the codes and scales of a layer, block by block.

    Args:
        codes: int8 [out, in], in the signed range of ``bits``.
        bits: At most 8.
        scale: float32 [1 or out], or per group of inputs [out, groups].
        size: From ``size_of``.
    """
    codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % size)))
    out, inputs = codes.shape
    kernel = next(one for one in KERNELS if one >= bits and (one, size) != SLOW)
    unsigned = (codes.view(np.uint8) + np.uint8(2 ** (kernel - 1))) & np.uint8(2**kernel - 1)
    parts = unsigned.reshape(out, inputs // size, -1, BYTE // kernel)
    packed = parts[..., 0].copy()
    for place in range(1, BYTE // kernel):
        packed |= parts[..., place] << np.uint8(place * kernel)
    by_group = scale if scale.ndim > 1 else np.broadcast_to(scale[:, None], (out, 1))
    by_block = np.repeat(by_group, inputs // size // by_group.shape[1], axis=1)
    return Blocks(kernel, size, packed, by_block.reshape(-1))


def product(
    graph: Graph, x: Value, blocks: Blocks, shape: tuple[int, int], zero_point: Array | None
) -> str:
    """Return the product of ``x`` [..., in] and a weight, [..., out].

    Args:
        graph: Is added to.
        x: float32.
        blocks: Codes and scales of the weight.
        shape: Of the weight, (out, in).
        zero_point: Real value of code zero, as ``scale`` of ``in_blocks``; None: 0.
    """
    out, inputs = shape
    found = graph.add(
        OPERATOR,
        *(x, graph.constant(blocks.codes, np.uint8), graph.constant(blocks.scale)),
        domain=DOMAIN,
        K=inputs,
        N=out,
        bits=blocks.bits,
        block_size=blocks.size,
        accuracy_level=ACCURACY_LEVEL,
    )
    if zero_point is None:
        return found
    by_group = zero_point if zero_point.ndim > 1 else zero_point[:, None]
    groups = by_group.shape[1]
    if groups == 1:
        total = graph.add("ReduceSum", x, graph.constant([-1], np.int64), keepdims=1)
        return graph.add("Add", found, graph.add("Mul", total, graph.constant(by_group[:, 0])))
    parted = reshaped(graph, x, [*[0] * (len(x.shape) - 1), groups, inputs // groups])
    sums = graph.add("ReduceSum", parted, graph.constant([-1], np.int64), keepdims=0)
    return graph.add("Add", found, graph.add("MatMul", sums, graph.constant(by_group.T)))
