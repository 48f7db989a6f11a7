"""How precisely a GPU multiplies numbers of 32 bits. Nothing here concerns a processor."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

_CUDNN: Any = torch.backends.cudnn
_KINDS: tuple[Any, ...] = (torch.backends.cuda.matmul, _CUDNN.conv, _CUDNN.rnn)


def multiply_exactly() -> None:
    """Keep all bits of float32 in products from now on; torch would not in convolutions."""
    _set(["ieee"] * len(_KINDS))


@contextmanager
def multiplying(precision: Literal["ieee", "tf32"]) -> Iterator[None]:
    """Multiply like this inside.

    Args:
        precision: ``ieee``: all bits count. ``tf32``: a GPU that has TF32 rounds operands to 10
            bits.
    """
    before = [kind.fp32_precision for kind in _KINDS]
    _set([precision] * len(_KINDS))
    try:
        yield
    finally:
        _set(before)


def _set(precisions: list[str]) -> None:
    for kind, precision in zip(_KINDS, precisions, strict=True):
        kind.fp32_precision = precision
