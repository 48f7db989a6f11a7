"""How precisely a GPU multiplies numbers of 32 bits. Nothing here concerns a processor."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# By the older of torch's two interfaces: its compiler reads that one, and refuses a mixture.
_KINDS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)


def multiply_exactly() -> None:
    """Keep all bits of float32 in products from now on; torch would not in convolutions."""
    _allow_tf32([False] * len(_KINDS))


@contextmanager
def multiplying(tf32: bool) -> Iterator[None]:
    """Multiply like this inside.

    Args:
        tf32: Let a GPU that has TF32 round operands to 10 bits; else all bits count.
    """
    before = [kind.allow_tf32 for kind in _KINDS]
    _allow_tf32([tf32] * len(_KINDS))
    try:
        yield
    finally:
        _allow_tf32(before)


def _allow_tf32(wanted: list[bool]) -> None:
    for kind, allowed in zip(_KINDS, wanted, strict=True):
        kind.allow_tf32 = allowed
