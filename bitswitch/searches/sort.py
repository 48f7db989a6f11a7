"""Sort: bit-widths by rank or in closed form, without a solver."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from bitswitch.contracts.search import Candidate, Problem, Search
from bitswitch.costs import CostName
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.searches.closed_form import Numbers, bounded_bits
from bitswitch.searches.exact.exact import scores_of
from bitswitch.types import Strict

LINEAR: tuple[CostName, ...] = ("average-bits", "weighted-average-bits", "activation-bits", "size")
"""Costs that grow by the same amount with every bit of a layer."""
ROUNDING = 1e-9
"""Real-valued bit-widths this much below one of the bit set are that one."""


class Sort(Search):
    """Layers in order of sensitivity, each as wide as the budget still allows; or a closed form.

    Weights and inputs of a layer share their bit-width. For a budget on average bits and
    bit-widths at equal distances, filling by score has the optimum of the linear objectives of
    search ``ilp``: they depend on the order of the layers alone.
    """

    class Options(Strict):
        """How bits are given out."""

        rule: Literal["fill", "closed-form"] = "fill"
        """``closed-form``: least sum of scores by bit-width, as if they fell by four per bit;
        rounded to the bit set within the budget."""
        by: Literal["score", "weights"] = "score"
        """What ``fill`` sorts by: most sensitive first, or fewest weights first."""
        order: Literal["sensitive-first", "as-printed"] = "sensitive-first"
        """``as-printed``: least sensitive first, the optimum of the printed objective."""

        @model_validator(mode="after")
        def _belongs_to_fill(self) -> Self:
            if self.rule == "closed-form" and (self.by, self.order) != ("score", "sensitive-first"):
                raise ValueError("by and order belong to rule 'fill'")
            if self.by == "weights" and self.order == "as-printed":
                raise ValueError("order 'as-printed' is by score")
            return self

    options: Options

    def __init__(self, options: Strict) -> None:
        super().__init__(options)
        self.scored = self.options.by == "score"

    def objection(self, cost: str) -> str | None:
        if self.options.rule != "closed-form" or cost in LINEAR:
            return None
        return (
            f"The closed form needs a cost that is linear in bits, not {cost}.\n"
            f"  Take a budget on {', '.join(LINEAR)}, rule fill, or search ilp."
        )

    def search(self, problem: Problem) -> list[Candidate]:
        if reason := self.objection(problem.limit.cost):
            raise SpecError(reason)
        narrowest = dict.fromkeys(problem.layers, min(problem.bitset))
        if not problem.allows(narrowest):
            limit = problem.limit
            least = problem.costs.total(limit.cost, narrowest)
            raise InfeasibleBudgetError(limit.cost, limit.value, least)
        if self.options.rule == "closed-form":
            return [_closed_form(problem)]
        if self.options.by == "weights":
            sizes = {shape.name: shape.weights for shape in problem.costs.layers}
            return [Candidate(_raised(problem, narrowest, sorted(sizes, key=sizes.__getitem__)))]
        return [self._by_score(problem, narrowest)]

    def _by_score(self, problem: Problem, narrowest: dict[str, int]) -> Candidate:
        """Return the optimum of score times bit-width, summed: the least or the largest sum."""
        all_scores = scores_of(problem)
        scores = {layer: all_scores.of_layer(layer) for layer in problem.layers}
        order = sorted(scores, key=scores.__getitem__)
        sign = 1
        if self.options.order == "sensitive-first":
            order, sign = [layer for layer in reversed(order) if scores[layer] > 0], -1
        policy = _raised(problem, narrowest, order)
        return Candidate(policy, sign * sum(scores[layer] * policy[layer] for layer in scores))


def _raised(
    problem: Problem, policy: dict[str, int], order: Sequence[str], levels: int | None = None
) -> dict[str, int]:
    """Return ``policy`` with each layer in ``order`` as wide as the budget then allows.

    Args:
        problem: Has the budget.
        policy: Within it.
        order: Layers to raise.
        levels: How many bit-widths a layer goes up at most; None: any number.
    """
    for layer in order:
        wider = sorted(bits for bits in problem.bitset if bits > policy[layer])[:levels]
        raised = ({**policy, layer: bits} for bits in reversed(wider))
        policy = next((one for one in raised if problem.allows(one)), policy)
    return policy


def _closed_form(problem: Problem) -> Candidate:
    """Return the real-valued optimum, rounded down; what is left goes to those that lost most."""
    scores = scores_of(problem)
    table = np.array(
        [
            [scores.of_policy(layer, bits, bits) for bits in problem.bitset]
            for layer in problem.layers
        ]
    )
    amplitudes = fitted_amplitudes(table, np.array(problem.bitset))
    real = _real_bits(problem, amplitudes)
    below = {
        layer: max(offered for offered in problem.bitset if offered <= bits + ROUNDING)
        for layer, bits in zip(problem.layers, real, strict=True)
    }
    lost = {layer: below[layer] - bits for layer, bits in zip(problem.layers, real, strict=True)}
    policy = _raised(problem, below, sorted(lost, key=lost.__getitem__), levels=1)
    objective = sum(scores.of_policy(layer, bits, bits) for layer, bits in policy.items())
    return Candidate(policy, objective)


def fitted_amplitudes(scores: Numbers, bits: Numbers) -> Numbers:
    """Return A in score = A * 4 ** -bits: least squares of logarithms, 0 where a score is not > 0.

    Args:
        scores: [layers, bit-widths].
        bits: [bit-widths].
    """
    positive = np.all(scores > 0, axis=1)
    logs = np.log2(np.where(positive[:, None], scores, 1.0)) + 2 * bits
    return np.where(positive, 2.0 ** logs.mean(1), 0.0)


def _real_bits(problem: Problem, amplitudes: Numbers) -> Numbers:
    costs, limit = problem.costs, problem.limit
    empty = np.array([costs.part(limit.cost, shape, 0, 0) for shape in costs.layers])
    per_bit = np.array([costs.part(limit.cost, shape, 1, 1) for shape in costs.layers]) - empty
    budget = limit.value - costs.fixed(limit.cost) - empty.sum()
    return bounded_bits(amplitudes, per_bit, budget, min(problem.bitset), max(problem.bitset))
