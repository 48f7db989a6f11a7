"""Greedy search: from the widest policy down, by the reduction that costs least accuracy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Literal

from bitswitch.contracts import Candidate, Problem, Search
from bitswitch.errors import SpecError
from bitswitch.searches.space import Reduction, Space, Vector
from bitswitch.types import Strict

ERROR_WEIGHT = 1.5
"""Of the scaled error against the scaled saving; code of tang2024retraining."""


class Greedy(Search):
    """Makes one bit-width narrower at a time, until the budget is met.

    All reductions are evaluated before every step where the allowed evaluations suffice for that.
    Else a step gets its share of them, and evaluates the reductions that were never evaluated at
    all, those that save most first, then those that were best when they were; the others count as
    they did then.

    Source: bulat2021bitmixer; its public code is not known. Rule ``scaled``: tang2024retraining.
    """

    source = "bulat2021bitmixer"

    class Options(Strict):
        """What a step looks at."""

        measure: Literal["loss", "accuracy", "scores"] = "loss"
        """What a reduction must raise least: the loss or top-1 error on held-out images, or the
        layers' sensitivity, which evaluates nothing."""
        rule: Literal["ratio", "scaled"] = "ratio"
        """``ratio``: least rise per saved cost; ``scaled``: least of 1.5 * value / largest value
        + cost / largest cost, over the policies after each reduction."""

    options: Options

    def __init__(self, options: Strict) -> None:
        super().__init__(options)
        self.scored = self.options.measure == "scores"
        self.evaluates = not self.scored

    def search(self, problem: Problem) -> list[Candidate]:
        space = Space.of(problem)
        descent = Descent(space, self._measure(problem, space), self._allowed(problem))
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
        """
        if self.options.measure == "scores":
            return _total_score(problem, space)
        if problem.remaining() < 1:
            raise SpecError(
                "Greedy search by loss or accuracy evaluates policies on held-out images.\n"
                "  Say how many: search.evaluations; or set the search option measure: scores"
            )
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


@dataclass
class Descent:
    """What is known of reductions on the way down."""

    space: Space
    measure: Callable[[Vector], float]
    """Value of a policy, less is better; every call is one evaluation."""
    allowed: Callable[[], float]
    """How many more calls there may be."""
    values: dict[Vector, float] = field(default_factory=dict)
    """Of the policies measured so far."""
    rises: dict[tuple[int, int], float] = field(default_factory=dict)
    """Last known rise of the value, by entry and its bit-width after the reduction."""
    here: float = 0.0
    """Value of the present policy: measured, or as the rises say."""

    def look(self, vector: Vector, reductions: list[Reduction]) -> None:
        """Measure the reductions of the present policy ``vector``, as far as that is allowed."""
        if not self.values:
            self.here = self._value(vector)
        for reduction in self._chosen(vector, reductions):
            self.rises[_key(reduction)] = self._value(reduction.vector) - self.here

    def take(self, reductions: list[Reduction], rule: str) -> Reduction:
        """Return the best of the reductions of known rise, or the largest where none is known."""
        known = [reduction for reduction in reductions if _key(reduction) in self.rises]
        if not known:
            return max(reductions, key=lambda reduction: reduction.saving)
        order = self._scaled(known) if rule == "scaled" else self._ratio
        best = min(known, key=lambda reduction: (order(reduction), -reduction.saving))
        self.here = self.values.get(best.vector, self.here + self.rises[_key(best)])
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
        return sorted(reductions, key=self._promise)[:share]

    def _promise(self, reduction: Reduction) -> tuple[float, float]:
        unknown = _key(reduction) not in self.rises
        return -inf if unknown else self._ratio(reduction), -reduction.saving

    def _ratio(self, reduction: Reduction) -> float:
        return self.rises[_key(reduction)] / reduction.saving

    def _scaled(self, reductions: list[Reduction]) -> Callable[[Reduction], float]:
        """Return the order of rule ``scaled``, which compares with the largest of all."""
        value = {one: self.here + self.rises[_key(one)] for one in reductions}
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
