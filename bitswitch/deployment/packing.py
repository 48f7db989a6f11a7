"""Signed integers of few bits, side by side in bytes."""

import numpy as np
import torch
from torch import Tensor

BYTE = 8


def packed_size(count: int, bits: int) -> int:
    """Return how many bytes ``count`` codes of ``bits`` take.

    >>> packed_size(5, 3)
    2
    """
    return -(-count * bits // BYTE)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Return ``codes`` as uint8 [bytes], lowest bits first, the last byte filled with zeros.

    Args:
        codes: Integers in the signed range of ``bits``, any shape.
        bits: At most 8.

    >>> pack(torch.tensor([1, -1, 0, -2, 1], dtype=torch.int8), 2).tolist()
    [141, 1]
    """
    values = codes.flatten().to(torch.int8).numpy().view(np.uint8)
    planes = np.unpackbits(values[:, None], axis=1, bitorder="little")[:, :bits]
    return torch.from_numpy(np.packbits(planes, bitorder="little"))


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """Return ``count`` codes of ``bits`` from ``pack``, int8 [count].

    Raises:
        ValueError: too few or too many bytes, or bits behind the last code are set.

    >>> unpack(torch.tensor([141, 1], dtype=torch.uint8), 2, 5).tolist()
    [1, -1, 0, -2, 1]
    """
    if packed.numel() != packed_size(count, bits):
        raise ValueError(f"{packed.numel()} bytes hold no {count} codes of {bits} bits")
    planes = np.unpackbits(packed.numpy(), bitorder="little")
    if planes[count * bits :].any():
        raise ValueError("bits behind the last code are set")
    rows = planes[: count * bits].reshape(count, bits)
    signs = np.repeat(rows[:, -1:], BYTE - bits, axis=1)
    values = np.packbits(np.concatenate([rows, signs], axis=1), axis=1, bitorder="little")
    return torch.from_numpy(values[:, 0].view(np.int8))
