"""Whether a printed number agrees with what was measured."""

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from bitswitch.report.statistics.intervals import interval

Agreement = Literal["match", "higher", "lower", "inconclusive"]


def agreement(
    printed: float, values: Sequence[float], noise: float, shared: float = 0.0
) -> Agreement | None:
    """Return whether a printed number agrees with the mean of ``values``.

    A mean within the noise of the test set matches if it is known that well. A mean beyond it is
    higher or lower if the printed number lies outside its confidence interval too. All else is
    inconclusive.

    Args:
        printed: The printed number.
        values: One per seed; of one alone nothing is known about its noise: None.
        noise: Of the test set at the printed number: nothing measured widens it.
        shared: Standard error over examples of what seeds share.
    """
    ours = interval(values, shared)
    if ours is None:
        return None
    difference = fmean(values) - printed
    if abs(difference) > max(noise, ours.half_width):
        return "higher" if difference > 0 else "lower"
    return "match" if ours.half_width <= noise else "inconclusive"
