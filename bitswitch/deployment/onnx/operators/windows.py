"""What looks at windows of images: pooling and padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bitswitch.deployment.onnx.operators.calls import Call, UnsupportedError


def global_average(call: Call) -> str:
    """Return the mean over height and width."""
    if pair(call.get(1, "output_size")) != (1, 1):
        raise UnsupportedError("adaptive_avg_pool2d() to a larger output than one pixel")
    return call.graph.add("GlobalAveragePool", call.x)


def max_pool(call: Call) -> str:
    """Return the largest value of every window."""
    if call.get(6, "return_indices", False):
        raise UnsupportedError("max_pool2d() with indices")
    return call.graph.add(
        "MaxPool",
        call.x,
        **_window(call),
        dilations=pair(call.get(4, "dilation", 1)),
        ceil_mode=int(call.get(5, "ceil_mode", False)),
    )


def average_pool(call: Call) -> str:
    """Return the mean of every window."""
    if call.get(4, "ceil_mode", False) or call.get(6, "divisor_override"):
        raise UnsupportedError("avg_pool2d() with ceil_mode or divisor_override")
    counted = int(call.get(5, "count_include_pad", True))
    return call.graph.add("AveragePool", call.x, **_window(call), count_include_pad=counted)


def _window(call: Call) -> dict[str, Any]:
    kernel = pair(call.get(1, "kernel_size"))
    stride = call.get(2, "stride")
    return {
        "kernel_shape": kernel,
        "strides": pair(stride) if stride else kernel,
        "pads": pair(call.get(3, "padding", 0)) * 2,
    }


def pad(call: Call) -> str:
    """Return the input with zeros around its last dimensions."""
    sides, rank = call.get(1, "pad"), len(call.x.shape)
    if call.get(2, "mode", "constant") != "constant" or call.get(3, "value"):
        raise UnsupportedError("padding with other values than zeros")
    before, after = ([0] * (rank - len(sides) // 2) + list(sides[i::2])[::-1] for i in (0, 1))
    return call.graph.add("Pad", call.x, call.graph.constant([*before, *after], np.int64))


def pair(size: int | Sequence[int]) -> tuple[int, ...]:
    """Return (height, width) of an argument that may be one number for both."""
    return (size, size) if isinstance(size, int) else tuple(size)
