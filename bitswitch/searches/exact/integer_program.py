"""The exact program of mixed precision: bit-widths for every layer, least loss, within a budget.

Binary variables say which bit-widths each layer takes. The loss of a policy is the sum over its
layers, each taken as independent of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bitswitch.contracts.search import Candidate, Problem
from bitswitch.costs import Constraint, CostModel
from bitswitch.errors import InfeasibleBudgetError, SpecError, UnreachableBudgetError
from bitswitch.searches.exact.multiple_choice import Bound, Pick, best_picks, total

Loss = Callable[[str, int, int], float]
"""Of (layer, weight bits, activation bits); infinite where the layer may not take them."""


class Group(NamedTuple):
    """Layers that share their bit-widths."""

    layers: list[str]
    offer: list[tuple[int, int]]
    """(weight, activation) bit-widths that they may take."""
    losses: NDArray[np.float64]
    """Of the layers together, at each offer."""


@dataclass(frozen=True)
class Program:
    """Choose bit-widths for every layer: least total loss within the limits."""

    costs: CostModel
    choices: Sequence[tuple[int, int]]
    """(weight, activation) bit-widths."""
    limits: Sequence[Constraint]
    """The first is the budget."""
    loss: Loss
    exact: bool = False
    """The budget is met exactly, not at most."""
    at_least: float = -np.inf
    """What the budgeted cost must come to."""
    leaders: Mapping[str, str] = field(default_factory=dict)
    """Layer that takes its bit-widths from an earlier one, and that one."""

    @classmethod
    def of(cls, problem: Problem, loss: Loss, exact: bool = False) -> Self:
        """Return the program of ``problem``, with its budget as the one limit."""
        return cls(problem.costs, problem.choices, (problem.limit,), loss, exact)

    def solve(self, count: int = 1, time_limit_s: float | None = None) -> list[Candidate]:
        """Return the ``count`` best policies, best first; fewer where no more are within limits.

        Args:
            count: At least 1.
            time_limit_s: Of each policy; then the best found so far is taken, with a warning.

        Raises:
            InfeasibleBudgetError: no policy is within the limits.
            SpecError: a loss is NaN, a layer may take no bit-widths at all, or the time limit is
                too short.
        """
        groups = self._groups()
        losses = [group.losses for group in groups]
        bounds = [self._bound(limit, groups) for limit in self.limits]
        picks = best_picks(losses, bounds, count, time_limit_s)
        if not picks:
            raise _infeasible(self.costs, self.limits, bounds, self.exact)
        return [Candidate(self._policy(groups, pick), total(losses, pick)) for pick in picks]

    def _groups(self) -> list[Group]:
        members: dict[str, list[str]] = {}
        for shape in self.costs.layers:
            members.setdefault(self.leaders.get(shape.name, shape.name), []).append(shape.name)
        return [self._group(layers) for layers in members.values()]

    def _group(self, layers: list[str]) -> Group:
        losses = np.array(
            [sum(self.loss(name, *choice) for name in layers) for choice in self.choices]
        )
        if np.isnan(losses).any():
            raise SpecError(
                f"The loss of {', '.join(layers)} is no number: score the layers again."
            )
        allowed = np.isfinite(losses)
        if not allowed.any():
            raise SpecError(f"No bit-width is allowed for {', '.join(layers)}.")
        offer = [choice for choice, ok in zip(self.choices, allowed, strict=True) if ok]
        return Group(layers, offer, losses[allowed])

    def _bound(self, limit: Constraint, groups: Sequence[Group]) -> Bound:
        """Return what ``limit`` leaves to layers whose bit-widths are chosen."""
        shapes = {shape.name: shape for shape in self.costs.layers}
        costs = [
            np.array(
                [
                    sum(self.costs.part(limit.cost, shapes[name], *choice) for name in group.layers)
                    for choice in group.offer
                ]
            )
            for group in groups
        ]
        fixed, slack = self.costs.fixed(limit.cost), abs(limit.value) * Constraint.TOLERANCE
        lower = -np.inf
        if limit == self.limits[0]:
            lower = (limit.value - slack if self.exact else self.at_least) - fixed
        return Bound(costs, limit.value + slack - fixed, lower)

    def _policy(self, groups: Sequence[Group], pick: Pick) -> dict[str, tuple[int, int]]:
        """Return the picked bit-widths by layer, first to last."""
        chosen = {
            name: group.offer[item]
            for group, item in zip(groups, pick, strict=True)
            for name in group.layers
        }
        return {shape.name: chosen[shape.name] for shape in self.costs.layers}


def _infeasible(
    costs: CostModel, limits: Sequence[Constraint], bounds: Sequence[Bound], exact: bool
) -> InfeasibleBudgetError:
    """Return the error that names what the first limit could be, the others kept.

    Where the others cannot be met either, it names what the next could be.
    """
    limit, bound, others = limits[0], bounds[0], bounds[1:]
    negative = [-group for group in bound.costs]
    below = best_picks(negative, [Bound(bound.costs, bound.upper), *others]) if exact else []
    above = best_picks(bound.costs, [Bound(bound.costs, lower=bound.lower), *others])
    reachable = [costs.fixed(limit.cost) + total(bound.costs, pick) for pick in (*below, *above)]
    if not reachable:
        return _infeasible(costs, limits[1:], others, exact=False)
    if exact:
        return UnreachableBudgetError(limit.cost, limit.value, reachable)
    return InfeasibleBudgetError(limit.cost, limit.value, reachable[0])
