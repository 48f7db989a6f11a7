"""Greedy search: from the widest policy down, by the reduction that does least harm."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Literal, NamedTuple

import torch

from bitswitch.contracts.search import Candidate, Problem, Search, require_evaluations
from bitswitch.errors import SpecError
from bitswitch.searches.space import Reduction, Space, Vector
from bitswitch.types import Strict

ERROR_WEIGHT = 1.5
"""Of the scaled error against the scaled saving; code of tang2024retraining."""
LEAST_SLOPE = 1e-9
"""Rise for an error that grows by 1, expected where none was measured."""


class Greedy(Search):
    """Makes one bit-width narrower at a time, until the budget is met.

    All reductions are evaluated before every step where the allowed evaluations suffice for that.
    Else every reduction of the widest policy is evaluated before the first step, and a later step
    gets its share of what is left: for reductions that were never evaluated, then for those that
    were best when they were; the others count as they did then. One that was never evaluated counts
    as its layer's last one did, if errors grow by four with every bit that is taken, and at least
    as the mean layer's. Of equal ones the largest saving is taken, then one by chance.

    Source: bulat2021bitmixer; its public code is not known. Rule ``scaled``: tang2024retraining.
    """

    source = "bulat2021bitmixer"

    class Options(Strict):
        """What a step looks at."""

        measure: Literal["loss", "headline", "scores"] = "loss"
        """What a reduction must raise least: the loss or the error on held-out examples, or the
        layers' sensitivity, which evaluates nothing."""
        rule: Literal["ratio", "scaled"] = "ratio"
        """``ratio``: least rise per saved cost; ``scaled``: least of 1.5 * value / largest value
        + cost / largest cost, over the policies after each reduction."""

    options: Options

    def __init__(self, options: Strict) -> None:
        super().__init__(options)
        self.scored = self.options.measure == "scores"
        self.evaluates = not self.scored
        # Headlines of few images, say accuracies, are often equal; losses and scores hardly are.
        self.stochastic = self.options.measure == "headline"

    def least_evaluations(self, layers: int) -> int:
        """Return 1 for the widest policy, and 1 for a reduction of each layer."""
        return 1 + layers if self.evaluates else 0

    def search(self, problem: Problem) -> list[Candidate]:
        space = Space.of(problem)
        measure = self._measure(problem, space)
        descent = Descent(space, measure, self._allowed(problem), problem.generator)
        vector = space.widest
        while not space.fits(vector):
            reductions = space.reductions(vector)
            if not reductions:
                vector = space.cheapest
                break
            descent.look(vector, reductions)
            vector = descent.take(reductions, self.options.rule).vector
        return [Candidate(space.policy(vector), descent.values.get(vector))]

    def _allowed(self, problem: Problem) -> Callable[[], float]:
        return problem.remaining if self.evaluates else lambda: inf

    def _measure(self, problem: Problem, space: Space) -> Callable[[Vector], float]:
        """Return what gives the value of a policy; less is better.

        Raises:
            SpecError: there are neither scores nor evaluations.
            TooFewEvaluationsError: not every reduction of the widest policy can be evaluated.
        """
        if self.options.measure == "scores":
            return _total_score(problem, space)
        if not space.fits(space.widest):
            least = 1 + len(space.reductions(space.widest))
            require_evaluations("greedy", problem.remaining(), least)
        if self.options.measure == "loss":
            return lambda vector: problem.evaluate(space.policy(vector)).loss
        return lambda vector: problem.evaluate(space.policy(vector)).error


def _total_score(problem: Problem, space: Space) -> Callable[[Vector], float]:
    """Return what gives the sum of a policy's scores over layers.

    Raises:
        SpecError: there are no scores.
    """
    scores = problem.scores
    if scores is None:
        raise SpecError(
            "Greedy search by scores needs a sensitivity. Name one: search.scores.sensitivity"
        )
    return lambda vector: sum(
        scores.of_policy(layer, *pair)
        for layer, pair in zip(space.layers, space.pairs(vector), strict=True)
    )


class Rise(NamedTuple):
    """What a measured reduction did to the value of a policy."""

    value: float
    """Infinite where it is no number."""
    error: float
    """Share by which the rounding error of its entry grew: 4 ** -bits, after less before."""


@dataclass
class Descent:
    """What is known of reductions on the way down."""

    space: Space
    measure: Callable[[Vector], float]
    """Value of a policy, less is better; every call is one evaluation."""
    allowed: Callable[[], float]
    """How many more calls there may be."""
    generator: torch.Generator
    """Draws one of equal reductions."""
    values: dict[Vector, float] = field(default_factory=dict)
    """Of the policies measured so far."""
    rises: dict[tuple[int, int], Rise] = field(default_factory=dict)
    """Last known ones, by entry and its bit-width after the reduction."""
    last: dict[int, Rise] = field(default_factory=dict)
    """Last known one of every entry."""
    here: float = 0.0
    """Value of the present policy: measured, or as the rises say."""

    def look(self, vector: Vector, reductions: list[Reduction]) -> None:
        """Measure the reductions of the present policy ``vector``, as far as that is allowed."""
        chosen = reductions
        if self.values:
            chosen = self._chosen(vector, reductions)
        else:
            self.here = self._value(vector)
        for reduction in chosen:
            value = self._value(reduction.vector) - self.here
            rise = Rise(value if value == value else inf, self._error(reduction))
            self.rises[_key(reduction)] = self.last[reduction.entry] = rise

    def take(self, reductions: list[Reduction], rule: str) -> Reduction:
        """Return the best of the reductions by what is known or expected of them."""
        order = self._scaled(reductions) if rule == "scaled" else self._ratio
        best = min(self._shuffled(reductions), key=lambda one: (order(one), self._promise(one)))
        self.here = self.values.get(best.vector, self.here + self._rise(best))
        return best

    def _chosen(self, vector: Vector, reductions: list[Reduction]) -> list[Reduction]:
        """Return the reductions to measure: all, or as many as this step's share allows."""
        excess = self.space.cost(vector) - self.space.limit.value
        mean = sum(reduction.saving for reduction in reductions) / len(reductions)
        steps = max(1, ceil(excess / mean))
        allowed = self.allowed()
        if allowed >= steps * len(reductions):
            return reductions
        share = int(min(allowed, max(1, allowed // steps)))
        return sorted(
            self._shuffled(reductions),
            key=lambda one: (_key(one) in self.rises, self._ratio(one), self._promise(one)),
        )[:share]

    def _shuffled(self, reductions: list[Reduction]) -> list[Reduction]:
        """Return ``reductions`` in any order, so that the first of equal ones is any of them."""
        order = torch.randperm(len(reductions), generator=self.generator)
        return [reductions[place] for place in order.tolist()]

    def _promise(self, reduction: Reduction) -> tuple[float, float]:
        """Return what decides between equals: what was measured of an expected one, the saving."""
        known = None if _key(reduction) in self.rises else self.last.get(reduction.entry)
        return known.value / reduction.saving if known else 0.0, -reduction.saving

    def _ratio(self, reduction: Reduction) -> float:
        return self._rise(reduction) / reduction.saving

    def _rise(self, reduction: Reduction) -> float:
        """Return by how much a reduction raises the value: as measured last, or as expected."""
        if _key(reduction) in self.rises:
            return self.rises[_key(reduction)].value
        slopes = {entry: rise.value / rise.error for entry, rise in self.last.items()}
        finite = [max(0.0, slope) for slope in slopes.values() if slope < inf]
        mean = max(LEAST_SLOPE, sum(finite) / max(1, len(finite)))
        return max(mean, slopes.get(reduction.entry, mean)) * self._error(reduction)

    def _error(self, reduction: Reduction) -> float:
        """Return by how much 4 ** -bits grows in the reduced entry."""
        bits = reduction.vector[reduction.entry]
        before = self.space.bitset[self.space.bitset.index(bits) - 1]
        return float(4.0**-bits - 4.0**-before)

    def _scaled(self, reductions: list[Reduction]) -> Callable[[Reduction], float]:
        """Return the order of rule ``scaled``, which compares with the largest of all."""
        value = {one: self.here + self._rise(one) for one in reductions}
        cost = {one: self.space.cost(one.vector) for one in reductions}
        largest_value = max(value.values()) or 1.0
        largest_cost = max(cost.values()) or 1.0
        return lambda one: ERROR_WEIGHT * value[one] / largest_value + cost[one] / largest_cost

    def _value(self, vector: Vector) -> float:
        """Return the measured value of a policy; infinite where it is no number."""
        value = self.measure(vector)
        self.values[vector] = value if value == value else inf
        return self.values[vector]


def _key(reduction: Reduction) -> tuple[int, int]:
    return reduction.entry, reduction.vector[reduction.entry]
