"""One item of every group, least total value, other totals within bounds: solved exactly."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from bitswitch.errors import SpecError
from bitswitch.searches.exact.quiet_stdout import silenced

log = logging.getLogger(__name__)

Groups = Sequence[NDArray[np.float64]]
"""A number for every item, one array per group."""
Pick = tuple[int, ...]
"""Position of the item taken from every group."""

LARGEST_COST = 1e4
"""Largest coefficient of a bound as the solver sees it; its tolerance is 1e-6, absolute."""
LARGEST_TOTAL = 1e6
"""Largest total value as the solver sees it; it stops at a gap of 1e-6, absolute."""
OPTIMAL, STOPPED, INFEASIBLE = 0, 1, 2
"""Status of ``scipy.optimize.milp``."""


@dataclass(frozen=True)
class Bound:
    """Bounds on the total of one cost."""

    costs: Groups
    upper: float = np.inf
    lower: float = -np.inf

    def holds(self, pick: Pick) -> bool:
        """Return whether the total of ``pick`` lies within."""
        return self.lower <= total(self.costs, pick) <= self.upper


def total(numbers: Groups, pick: Pick) -> float:
    """Return the sum of the picked items' numbers."""
    return float(sum(group[item] for group, item in zip(numbers, pick, strict=True)))


def best_picks(
    values: Groups, bounds: Sequence[Bound], count: int = 1, time_limit_s: float | None = None
) -> list[Pick]:
    """Return the ``count`` best picks, least total value first; fewer where no more are feasible.

    Args:
        values: Finite, at least one per group.
        bounds: On other totals.
        count: At least 1.
        time_limit_s: Of each pick; then the best found so far is taken and a warning logged.

    Raises:
        SpecError: the time limit was over before any pick was found.
    """
    return list(islice(_in_order(values, bounds, time_limit_s), count))


def _in_order(
    values: Groups, bounds: Sequence[Bound], time_limit_s: float | None
) -> Iterator[Pick]:
    """Yield the feasible picks, least total value first; each is cut off before the next."""
    sizes = [len(group) for group in values]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    spread = sum(float(np.ptp(group)) for group in values)
    objective = np.concatenate([group - group.min() for group in values])
    objective = objective / (spread or 1.0) * LARGEST_TOTAL
    rows = [_one_of_each(sizes), *(_row(bound) for bound in bounds)]
    options = {"mip_rel_gap": 0.0} | ({"time_limit": time_limit_s} if time_limit_s else {})
    while True:
        with silenced():
            answer = milp(
                objective,
                integrality=np.ones(len(objective)),
                bounds=Bounds(0, 1),
                constraints=rows,
                options=options,
            )
        if answer.status == INFEASIBLE:
            return
        _check(answer, time_limit_s)
        pick = tuple(int(part.argmax()) for part in np.split(answer.x, starts[1:-1]))
        # Within its tolerance the solver may return a pick that is just out of bounds.
        if all(bound.holds(pick) for bound in bounds):
            yield pick
        rows.append(_all_but(starts[:-1] + np.array(pick), len(objective)))


def _one_of_each(sizes: Sequence[int]) -> LinearConstraint:
    """Return the constraint that one item of every group is taken."""
    items = sum(sizes)
    places = np.repeat(np.arange(len(sizes)), sizes), np.arange(items)
    return LinearConstraint(csr_array((np.ones(items), places)), 1, 1)


def _row(bound: Bound) -> LinearConstraint:
    """Return the constraint of a bound, relative to the least total and scaled."""
    least = sum(float(group.min()) for group in bound.costs)
    row = np.concatenate([group - group.min() for group in bound.costs])
    largest = float(row.max()) or 1.0
    lower, upper = ((side - least) / largest * LARGEST_COST for side in (bound.lower, bound.upper))
    return LinearConstraint(csr_array(row[None] / largest * LARGEST_COST), lower, upper)


def _all_but(taken: NDArray[np.int64], items: int) -> LinearConstraint:
    """Return the constraint that cuts off one pick and no other.

    Args:
        taken: The pick, as positions in the row of all items.
        items: Length of that row.
    """
    places = np.zeros_like(taken), taken
    row = csr_array((np.ones(len(taken)), places), shape=(1, items))
    return LinearConstraint(row, -np.inf, len(taken) - 1)


def _check(answer: Any, time_limit_s: float | None) -> None:
    """Warn where the solver was stopped; raise an error where it has nothing to show.

    Raises:
        SpecError: it was stopped too early.
        RuntimeError: it failed.
    """
    if answer.status == STOPPED and answer.x is None:
        raise SpecError(
            f"The solver found no policy in {time_limit_s:g} s.\n"
            f"  Raise time_limit_s, or leave it out."
        )
    if answer.status == STOPPED:
        log.warning(
            "stopped after %g s: the policy may be worse than the best by %.2g %% of its objective",
            time_limit_s,
            100 * answer.mip_gap,
        )
    elif answer.status != OPTIMAL:
        raise RuntimeError(answer.message)
