"""Other shapes, parts and orders of the same values."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from bitswitch.deployment.onnx.graph import Graph
from bitswitch.deployment.onnx.operators.calls import Call, Size, UnsupportedError, Value, axis_of

LAST = int(np.iinfo(np.int64).max)
"""End of an open slice."""


def sizes(call: Call) -> Any:
    """Return the sizes of a value, or the one that is asked for."""
    dim, found = call.get(1, "dim"), _sizes(call.graph, call.x)
    return found if dim is None else found[call.axis(dim, "size()")]


def attribute(call: Call) -> Any:
    """Return ``x.shape`` or ``x.ndim``."""
    if call.args[1] == "shape":
        return _sizes(call.graph, call.x)
    if call.args[1] == "ndim":
        return rank(call)
    raise UnsupportedError(f"'x.{call.args[1]}', of which only shape and ndim have a translation")


def rank(call: Call) -> int:
    """Return the number of dimensions."""
    return len(call.x.shape)


def _sizes(graph: Graph, x: Value) -> tuple[int | Size, ...]:
    """Return all sizes; those that depend on the number of images are read from ``x``."""
    return tuple(
        _size(graph, x, axis) if size is None else size for axis, size in enumerate(x.shape)
    )


def _size(graph: Graph, x: Value, axis: int) -> Size:
    return Size(graph.add("Gather", graph.add("Shape", x), graph.constant([axis], np.int64)))


def reshape(call: Call) -> str:
    """Return the input in another shape, made of numbers and sizes."""
    return reshaped(call.graph, call.x, call.several(1, "shape"))


def reshaped(graph: Graph, x: str, shape: Sequence[Any]) -> str:
    """Return ``x`` in another shape; one size of it may be -1."""
    return graph.add("Reshape", x, _shape(graph, shape))


def expand(call: Call) -> str:
    """Return the input, repeated where its size is 1."""
    shape = [1 if isinstance(one, int) and one == -1 else one for one in call.several(1, "size")]
    return call.graph.add("Expand", call.x, _shape(call.graph, shape))


def _shape(graph: Graph, shape: Sequence[Any]) -> str:
    """Return the name of a shape, int64 [dimensions]."""
    if not shape or not all(isinstance(one, int | Size) for one in shape):
        raise UnsupportedError("a shape of other things than numbers and single sizes")
    if all(isinstance(one, int) for one in shape):
        return graph.constant(shape, np.int64)
    parts = [one if isinstance(one, str) else graph.constant([one], np.int64) for one in shape]
    return graph.add("Concat", *parts, axis=0)


def flatten(call: Call) -> str:
    """Return the input with several neighbouring dimensions as one."""
    start = call.axis(call.get(1, "start_dim", 0), "flatten()")
    end = call.axis(call.get(2, "end_dim", -1), "flatten()")
    if not start:
        raise UnsupportedError("flatten() of all images to one")
    kept = _sizes(call.graph, call.x)[end + 1 :]
    return reshaped(call.graph, call.x, [*[0] * start, -1, *kept])  # 0: as it was


def unflatten(call: Call) -> str:
    """Return the input with one dimension as several neighbouring ones."""
    axis = call.axis(call.get(1, "dim"), "unflatten()")
    sizes = call.get(2, "sizes", call.kwargs.get("unflattened_size"))
    kept = _sizes(call.graph, call.x)[axis + 1 :]
    return reshaped(call.graph, call.x, [*[0] * axis, *sizes, *kept])  # 0: as it was


def repeated(call: Call) -> str:
    """Return the input, everything along a dimension several times in a row."""
    axis, count = call.axis(call.get(2, "dim"), "repeat_interleave()"), call.get(1, "repeats")
    if not isinstance(count, int):
        raise UnsupportedError("repeat_interleave() by other things than one number")
    sizes = call.x.shape
    apart = call.graph.add("Unsqueeze", call.x, call.graph.constant([axis + 1], np.int64))
    wide = _shape(call.graph, [*[1] * (axis + 1), count, *[1] * (len(sizes) - axis - 1)])
    return reshaped(call.graph, call.graph.add("Expand", apart, wide), _grown(call, axis, count))


def _grown(call: Call, axis: int, count: int) -> list[Any]:
    """Return the sizes of the input, one of them ``count`` times as large."""
    size, after = call.x.shape[axis], call.x.shape[axis + 1 :]
    if size is not None and after.count(None) <= 1:  # -1: as many as there are
        return [*[0] * axis, size * count, *(-1 if one is None else one for one in after)]
    return [*[0] * axis, -1, *_sizes(call.graph, call.x)[axis + 1 :]]


def squeeze(call: Call) -> str:
    """Return the input without a dimension of size 1."""
    axis = call.axis(call.get(1, "dim"), "squeeze()")
    if call.x.shape[axis] != 1:
        return call.x
    return call.graph.add("Squeeze", call.x, call.graph.constant([axis], np.int64))


def unsqueeze(call: Call) -> str:
    """Return the input with a new dimension of size 1."""
    axis = axis_of(call.get(1, "dim"), len(call.x.shape) + 1, "unsqueeze()")
    return call.graph.add("Unsqueeze", call.x, call.graph.constant([axis], np.int64))


def permute(call: Call) -> str:
    """Return the input with its dimensions in another order."""
    order = [call.axis(dim, "permute()") for dim in call.several(1, "dims")]
    return call.graph.add("Transpose", call.x, perm=order)


def transpose(call: Call) -> str:
    """Return the input with two dimensions exchanged."""
    first, second = (
        call.axis(call.get(position, f"dim{position - 1}"), "transpose()") for position in (1, 2)
    )
    return call.graph.add("Transpose", call.x, perm=exchanged(len(call.x.shape), first, second))


def exchanged(rank: int, first: int, second: int) -> list[int]:
    """Return the order of ``rank`` dimensions, two of them exchanged."""
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return order


def concatenate(call: Call) -> str:
    """Return values side by side along a dimension."""
    values, dim = call.get(0, "tensors"), call.get(1, "dim", 0)
    if not values or not all(isinstance(one, Value) for one in values):
        raise UnsupportedError("cat() of other things than tensors")
    return call.graph.add("Concat", *values, axis=axis_of(dim, len(values[0].shape), "cat()"))


def stack(call: Call) -> str:
    """Return values side by side along a new dimension."""
    values, dim = call.get(0, "tensors"), call.get(1, "dim", 0)
    if not values or not all(isinstance(one, Value) for one in values):
        raise UnsupportedError("stack() of other things than tensors")
    axis = axis_of(dim, len(values[0].shape) + 1, "stack()")
    place = [call.graph.constant([axis], np.int64) for _ in values]
    apart = [call.graph.add("Unsqueeze", *each) for each in zip(values, place, strict=True)]
    return call.graph.add("Concat", *apart, axis=axis)


def unbind(call: Call) -> list[str]:
    """Return the parts along a dimension, without it."""
    axis, count = _counted(call, "unbind()", call.get(1, "dim", 0))
    return [_taken(call, call.x, axis, index) for index in range(count)]


def chunk(call: Call) -> list[str]:
    """Return a number of equal parts along a dimension; the last may be smaller."""
    axis, count = _counted(call, "chunk()", call.get(2, "dim", 0))
    chunks = call.get(1, "chunks")
    if not isinstance(chunks, int):
        raise UnsupportedError("chunk() by other things than a number")
    return _split(call, axis, _pieces(count, -(-count // chunks)))


def split(call: Call) -> list[str]:
    """Return parts along a dimension, of one size or of given sizes."""
    axis, count = _counted(call, "split()", call.get(2, "dim", 0))
    parts = call.get(1, "split_size_or_sections", call.kwargs.get("split_size"))
    if isinstance(parts, int):
        parts = _pieces(count, parts)
    if not all(isinstance(part, int) for part in parts):
        raise UnsupportedError("split() by other things than numbers")
    return _split(call, axis, parts)


def _counted(call: Call, what: str, dim: Any) -> tuple[int, int]:
    """Return a dimension of the input and its size, which must be a number."""
    axis = call.axis(dim, what)
    size = call.x.shape[axis]
    if size is None:
        raise UnsupportedError(f"{what} of the images")
    return axis, size


def _pieces(count: int, size: int) -> list[int]:
    """Return sizes that add up to ``count``; the last may be smaller than ``size``."""
    return [min(size, count - start) for start in range(0, count, size)]


def _split(call: Call, axis: int, parts: Sequence[int]) -> list[str]:
    bounds = pairwise(accumulate(parts, initial=0))
    return [call.part(call.x, axis, start, end) for start, end in bounds]


def select(call: Call) -> Any:
    """Return what slices, numbers and None cut out of the input; one of several values."""
    if isinstance(call.args[0], tuple):
        return call.args[0][call.args[1]]
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    return _cut(call, _without_dots(index, len(call.x.shape)))


def _cut(call: Call, index: Sequence[Any]) -> str:
    """Return the input at an index without dots.

    Raises:
        UnsupportedError: it holds other things than slices, numbers and None.
    """
    x: str = call.x
    axis = 0
    """Of what is left of ``x``."""
    for part in index:
        if part is None:
            x = call.graph.add("Unsqueeze", x, call.graph.constant([axis], np.int64))
        elif isinstance(part, int):
            x = _taken(call, x, axis, part)
            continue
        elif part != slice(None):
            x = call.part(x, axis, *_bounds(part))
        axis += 1
    return x


def _bounds(part: Any) -> tuple[int | Size, int | Size, int | Size]:
    """Return start, end and step of a slice."""
    found = (part.start, part.stop, part.step) if isinstance(part, slice) else ()
    if not found or not all(one is None or isinstance(one, int | Size) for one in found):
        raise UnsupportedError("an index of other things than slices of numbers, numbers and None")
    start, stop, step = found
    return start or 0, LAST if stop is None else stop, step or 1


def _without_dots(index: Sequence[Any], rank: int) -> list[Any]:
    """Return ``index`` with slices of everything instead of its dots."""
    parts = list(index)
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    if not dots:
        return parts
    missing = rank - sum(part is not None and part is not Ellipsis for part in parts)
    return [*parts[: dots[0]], *[slice(None)] * missing, *parts[dots[0] + 1 :]]


def _taken(call: Call, x: str, axis: int, index: int) -> str:
    """Return ``x`` at one place of a dimension, without that dimension."""
    return call.graph.add("Gather", x, call.graph.constant(index, np.int64), axis=axis)
