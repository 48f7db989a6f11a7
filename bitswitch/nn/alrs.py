"""Adaptive learning-rate scaling (ALRS) of the quantization scales: an option of any recipe."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from bitswitch.spec.training import AlrsSpec, AlrsVariant
from bitswitch.types import BitSet

CLIP = 1.0
"""Bound on each layer's gradient in Eq. 6."""


def factor(bits: int, widest: int) -> float:
    """Return eta of ``bits``: the share of the learning rate that its scales get.

    >>> [factor(bits, 8) for bits in (8, 6, 4, 2)], [factor(bits, 4) for bits in (4, 3, 2)]
    ([1.0, 0.1, 0.01, 0.001], [1.0, 0.5, 0.1])

    Source: huang2025nearly, Eq. 7.
    """
    halves, odd = divmod(widest - bits, 2)
    # A quotient of whole numbers is the nearest float; a power of 0.1 is not.
    return 5 / 10.0 ** (halves + 1) if odd else 1 / 10.0**halves


def factors(
    bitset: BitSet, chosen: Mapping[int, float] | Literal["tenths"] | None = None
) -> dict[int, float]:
    """Return eta of every bit-width: ``chosen``, 0.1^k for the k-th below the widest, or Eq. 7.

    >>> factors((4, 3, 2)), factors((4, 3, 2), "tenths")
    ({4: 1.0, 3: 0.5, 2: 0.1}, {4: 1.0, 3: 0.1, 2: 0.01})

    Source of ``tenths``: code of huang2025nearly.
    """
    if chosen == "tenths":
        return {bits: 1 / 10.0**position for position, bits in enumerate(bitset)}
    return {bits: chosen[bits] if chosen else factor(bits, bitset[0]) for bits in bitset}


def mean_clipped(largest: Tensor) -> Tensor:
    """Return the gradient term of Eq. 6, in [0, 1], float64 [].

    Sums of float32 numbers are exact in float64, in whatever order a device adds them up, unless
    some are smaller than the sum by a factor of more than 2^29.

    Args:
        largest: max |gradient| of every scale in use at one bit-width, [scales].

    Source: huang2025nearly, Eq. 6: (1/L) sum_i min(max |clip_grad(g_i, 1.0)|, 1.0). Clipping only
    enters the learning rate; the gradient that the optimizer uses is not changed.
    """
    return largest.clamp(max=CLIP).sum(dtype=torch.float64) / max(1, len(largest))


def factor_of_pass(factors: Mapping[int, float], bits: int | None, widths: Sequence[int]) -> float:
    """Return eta of a pass: that of its bit-width, whatever single layers take.

    Where it has none, the mean over its operands.

    >>> factor_of_pass({8: 1.0, 4: 0.5}, 4, [8, 8]), factor_of_pass({8: 1.0, 4: 0.5}, None, [8, 4])
    (0.5, 0.75)

    Args:
        factors: eta of every bit-width.
        bits: Of the pass; None: it mixes several.
        widths: Of its quantized operands, at least one; another bit-width, full precision,
            counts as 1.
    """
    if bits is not None and bits in factors:
        return factors[bits]
    return fmean(factors.get(width, 1.0) for width in widths)


def scaled(
    alrs: AlrsSpec,
    bitset: BitSet,
    bits: int | None,
    widths: Sequence[int],
    base: float,
    largest: Tensor,
) -> float | Tensor:
    """Return lambda_b, the learning rate of the scales in the update after one pass.

    What follows from gradients stays on their device, float64 [].

    Args:
        alrs: Variant and factors.
        bitset: Of the network, widest first.
        bits: See ``factor_of_pass``.
        widths: See ``factor_of_pass``.
        base: lambda, the scheduled learning rate of scales.
        largest: max |gradient| of every scale in use, [scales].
    """
    eta = factor_of_pass(factors(bitset, alrs.factors), bits, widths or bitset[:1])
    return learning_rate(alrs.variant, base, eta, largest)


def learning_rate(
    variant: AlrsVariant, base: float, factor: float, largest: Tensor
) -> float | Tensor:
    """Return lambda_b, the learning rate of the scales of one bit-width.

    Args:
        variant: How Eq. 6 is read. ``literal`` is as printed and turns negative as soon as
            ``mean_clipped`` exceeds ``base``; ``clamped`` is 0 there; ``relative`` takes the
            gradient term as a share; ``factor-only`` leaves it out.
        base: lambda, the scheduled learning rate.
        factor: eta of the bit-width.
        largest: See ``mean_clipped``.

    Source: huang2025nearly, Eq. 6.
    """
    if variant == "factor-only":
        return factor * base
    mean = mean_clipped(largest)
    match variant:
        case "relative":
            return factor * base * (1.0 - mean)
        case "clamped":
            return factor * (base - mean).clamp(min=0.0)
        case "literal":
            return factor * (base - mean)
