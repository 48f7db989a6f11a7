"""Mix features of several bit-widths, and keep them together.

Source: xu2024ptmq (multi-bit feature mixer, group-wise distillation loss); wei2022qdrop.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from bitswitch.types import BitSet


class Group(NamedTuple):
    """Activation bit-widths whose features are mixed; they may coincide."""

    low: int
    medium: int
    high: int

    @classmethod
    def of(cls, bits: int, bitset: BitSet) -> "Group":
        """Return the group of weights of ``bits``: these, the widest, and the middle in between.

        >>> Group.of(2, (8, 6, 4, 2)), Group.of(6, (8, 6, 4, 2))
        (Group(low=2, medium=4, high=8), Group(low=6, medium=6, high=8))
        """
        wider = sorted(width for width in bitset if width >= bits)
        return cls(bits, wider[(len(wider) - 1) // 2], wider[-1])


def mixed(low: Tensor, medium: Tensor, high: Tensor) -> Tensor:
    """Return the mean of three features (multi-bit feature mixer)."""
    return (low + medium + high) / 3


def group_distillation(full: Tensor, low: Tensor, medium: Tensor, high: Tensor) -> Tensor:
    """Return MSE(full, mixed) + MSE(high, medium) + MSE(high, low) of features [n, ...].

    Source: xu2024ptmq (group-wise distillation loss).
    """
    reconstruction = mse_loss(mixed(low, medium, high), full)
    return reconstruction + mse_loss(high, medium) + mse_loss(high, low)


def dropped(rough: Tensor, full: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Return ``rough`` features with a random ``share`` of the values taken from ``full``.

    Source: wei2022qdrop.
    """
    taken = torch.rand(full.shape, generator=draw, device=full.device) < share
    return torch.where(taken, full, rough)
