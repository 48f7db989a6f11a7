"""Minimise a function of many numbers that has no gradient."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]
"""[n]."""

FIRST_STEP = 0.1
"""Length of the first step along every axis."""
LEAST_POWER, GREATEST_POWER, POWERS = 1.0, 5.0, 50
"""Grid on which a parabola's minimum is looked for; public code of nahshan2021loss."""


class Budget(NamedTuple):
    """How long to search; None: until it converges."""

    iterations: int | None
    """Each goes once along every direction."""
    evaluations: int | None
    """Of the function; the search stops after so many."""


class _Spent(Exception):  # noqa: N818  (a signal, not a fault)
    """All evaluations are used."""


def powell(function: Callable[[Point], float], start: Point, budget: Budget) -> Point:
    """Return the best point that Powell's method visits from ``start`` on, which is one of them.

    Args:
        function: To be minimised; a value that is not finite counts as infinitely bad.
        start: [n], n may be zero.
        budget: When to stop.

    Source: powell1964efficient, as implemented by scipy.
    """
    from scipy.optimize import minimize  # takes long to import

    best, least, count = start, np.inf, 0

    def tried(point: Point) -> float:
        nonlocal best, least, count
        if budget.evaluations is not None and count >= budget.evaluations:
            raise _Spent
        count += 1
        value = float(function(point))
        value = value if np.isfinite(value) else np.inf
        if value < least:
            best, least = point.copy(), value
        return value

    options: dict[str, Any] = {"direc": FIRST_STEP * np.eye(len(start))}
    if budget.iterations is not None:
        options["maxiter"] = budget.iterations
    try:
        if len(start) and budget.iterations != 0:
            minimize(tried, start, method="Powell", options=options)
    except _Spent:
        pass
    return best


def interpolated_minimum(positions: Sequence[float], values: Sequence[float]) -> float:
    """Return where the parabola through three points is least on a grid from 1 to 5.

    Source: nahshan2021loss (quadratic interpolation), public code.

    >>> round(interpolated_minimum([2.0, 2.5, 3.0], [1.0, 0.25, 0.0]), 1)
    3.0
    """
    grid = np.linspace(LEAST_POWER, GREATEST_POWER, POWERS)
    return float(grid[np.argmin(np.polyval(np.polyfit(positions, values, 2), grid))])
