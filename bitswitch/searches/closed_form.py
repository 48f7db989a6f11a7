"""Least loss without a solver, where loss falls by four per bit and cost is linear in bits."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def unbounded_bits(amplitudes: Numbers, costs: Numbers, budget: float) -> Numbers:
    """Return the real-valued bit-widths with the least sum of amplitude * 4 ** -bits.

    Args:
        amplitudes: One per layer, positive.
        costs: Of one bit, per layer, positive.
        budget: What all bits together cost.

    Returns:
        budget / sum(costs) + half the logarithm of amplitude per cost, less its mean weighted
        by ``costs``. May be of any size and sign.
    """
    logs = np.log2(amplitudes / costs) / 2
    shift: float = (budget - costs @ logs) / costs.sum()
    return logs + shift


def bounded_bits(
    amplitudes: Numbers, costs: Numbers, budget: float, least: float, most: float
) -> Numbers:
    """Return the same for bit-widths between ``least`` and ``most``.

    A layer without amplitude has the least bit-width until all others have the most.

    Args:
        amplitudes: One per layer; negative ones count as zero.
        costs: Of one bit, per layer, positive.
        budget: What all bits together may cost, at least ``costs.sum() * least``.
        least: Narrowest bit-width.
        most: Widest bit-width.
    """
    logs = _logs(amplitudes / costs, most - least)
    # Bits are the logs, all shifted alike and clipped: what they cost grows with the shift,
    # linearly between the shifts where a layer reaches a bound.
    shifts = np.unique(np.concatenate([least - logs, most - logs]))
    clipped = (logs + shifts[:, None]).clip(least, most)
    shift = np.interp(budget, clipped @ costs, shifts)
    bits: Numbers = (logs + shift).clip(least, most)
    return bits


def _logs(amplitudes: Numbers, span: float) -> Numbers:
    """Return half the logarithms; those of nothing lie far enough below the others."""
    positive = amplitudes > 0
    logs = np.log2(amplitudes, out=np.zeros_like(amplitudes), where=positive) / 2
    lowest = logs[positive].min() if positive.any() else 0.0
    return np.where(positive, logs, lowest - 2 * span)
