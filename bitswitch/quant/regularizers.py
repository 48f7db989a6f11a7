"""Penalties on the distribution of weights: near uniform, it survives any quantization."""

from collections.abc import Sequence

import torch
from torch import Tensor

UNIFORM_KURTOSIS = 1.8
"""Of a uniform distribution; target of shkolnik2020robust."""


def standardized_moment(weight: Tensor, order: int) -> Tensor:
    """Return mean(((w - mean) / std) ** order) of all values, with the unbiased std; 0-d.

    >>> standardized_moment(torch.tensor([-1.0, 0.0, 1.0]), 4)
    tensor(0.6667)
    """
    return ((weight - weight.mean()) / weight.std()).pow(order).mean()


def kurtosis_penalty(weights: Sequence[Tensor], target: float = UNIFORM_KURTOSIS) -> Tensor:
    """Return the mean over layers of (kurtosis - target) ** 2.

    Args:
        weights: One tensor per layer, at least one; two values or more in each.
        target: Kurtosis that costs nothing.

    Source: shkolnik2020robust (kurtosis regularization).
    """
    return torch.stack([(standardized_moment(w, 4) - target).square() for w in weights]).mean()


def skewness_penalty(weights: Sequence[Tensor], target: float = 0.0) -> Tensor:
    """Return the mean over layers of (skewness - target) ** 2.

    Args:
        weights: As in ``kurtosis_penalty``.
        target: Skewness that costs nothing.

    Source: xu2023eqnet, public code (skewness regularization).
    """
    return torch.stack([(standardized_moment(w, 3) - target).square() for w in weights]).mean()
