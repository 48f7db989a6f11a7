"""Checks of a search."""

from collections.abc import Callable
from dataclasses import replace

from bitswitch.contracts.search import Candidate, Problem, Search
from bitswitch.costs import CostName
from bitswitch.errors import InfeasibleBudgetError
from bitswitch.nn.policy import resolve
from bitswitch.testing.exploring import (
    BITSET,
    EVALUATIONS,
    problem,
    snapshot,
    suitable,
    tensors_changed,
)
from bitswitch.testing.failure import require

BUDGETS: tuple[tuple[CostName, float], ...] = (
    ("average-bits", 0.6),
    ("bitops", 0.3),
    ("size", 0.5),
)
"""Costs, and shares of the widest policy's."""


def policies_are_within_the_budget(search: Search) -> None:
    """Every policy names every layer, at bit-widths of the network, within the budget."""
    scores = suitable(search)
    for cost, share in BUDGETS:
        posed = problem(cost, share, scores=scores)
        candidates = search.search(posed)
        require(
            bool(candidates) and all(isinstance(one, Candidate) for one in candidates),
            f"search() returns {candidates!r}.",
            "Return a list of Candidate(policy), best first, at least one.",
        )
        for candidate in candidates:
            _check_policy(candidate, posed)


def _check_policy(candidate: Candidate, posed: Problem) -> None:
    pairs = resolve(candidate.policy, posed.layers, posed.bitset)
    used = {bits for pair in pairs.values() for bits in pair}
    require(
        used <= set(posed.bitset),
        f"A policy uses the bit-widths {sorted(used)}.",
        f"Use those of problem.bitset alone: {list(posed.bitset)}.",
    )
    require(
        all(weight == activation for weight, activation in pairs.values()),
        "A policy gives weights and inputs of a layer different bit-widths.",
        "Take pairs from problem.choices: they are equal where problem.tied says so.",
    )
    cost = posed.costs.total(posed.limit.cost, candidate.policy)
    require(
        posed.allows(candidate.policy),
        f"A policy has {posed.limit.cost} {cost:g}; the budget is {posed.limit.value:g}.",
        "Check every policy with problem.allows(policy).",
    )


def an_impossible_budget_is_said(search: Search) -> None:
    """A budget that no policy meets raises InfeasibleBudgetError, which names the nearest."""
    scores = suitable(search)
    posed = problem("average-bits", 0.1, scores=scores)
    try:
        search.search(posed)
    except InfeasibleBudgetError as error:
        require(
            abs(error.nearest - min(BITSET)) < 1e-6,
            f"It says that {error.nearest:g} average bits can be met; the least is {min(BITSET)}.",
            "Take the least cost from problem.costs.range(problem.limit.cost, problem.bitset).",
        )
        return
    require(
        False,
        "For a budget below the narrowest policy, search() returns something.",
        "Raise bitswitch.errors.InfeasibleBudgetError(cost, limit, nearest).",
    )


def a_generous_budget_is_used(search: Search) -> None:
    """A budget that allows everything gives some policy above the narrowest."""
    posed = problem("average-bits", 1.0, scores=suitable(search))
    best = search.search(posed)[0]
    cost = posed.costs.total("average-bits", best.policy)
    require(
        cost > min(BITSET),
        "With a budget for the widest bit-width everywhere, every layer gets the narrowest.",
        "Spend the budget.",
    )


def results_depend_on_the_seed_alone(search: Search) -> None:
    """The same problem and seed give the same policies."""
    scores = suitable(search)
    first, second = (search.search(problem(scores=scores)) for _ in range(2))
    require(
        [one.policy for one in first] == [one.policy for one in second],
        "Two calls on equal problems give different policies.",
        "Draw everything that is random from problem.generator.",
    )


def evaluations_are_not_exceeded(search: Search) -> None:
    """No more evaluations are asked for than remain."""
    posed = problem(scores=suitable(search))
    calls = 0

    def evaluate(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        return posed.evaluate(*arguments)  # type: ignore[arg-type]

    search.search(replace(posed, evaluate=evaluate))  # type: ignore[arg-type]
    require(
        search.evaluates or calls == 0,
        f"It evaluates {calls} policies, but its class says that it evaluates none.",
        "Set evaluates = True, so that suites must say how many it may evaluate.",
    )
    require(
        calls <= EVALUATIONS,
        f"It asks for {calls} evaluations where {EVALUATIONS} are allowed.",
        "Ask problem.remaining() first.",
    )


def the_network_stays_as_it_was(search: Search) -> None:
    """Searching leaves the network as it was: tensors and gradients."""
    posed = problem(scores=suitable(search))
    before = snapshot(posed.model)
    search.search(posed)
    changed = tensors_changed(before, snapshot(posed.model))
    require(
        not changed,
        f"After search(), {', '.join(changed[:3])} has other values.",
        "Train a copy: copy.deepcopy(problem.model).",
    )


SEARCH_CHECKS: tuple[Callable[[Search], None], ...] = (
    policies_are_within_the_budget,
    an_impossible_budget_is_said,
    a_generous_budget_is_used,
    results_depend_on_the_seed_alone,
    evaluations_are_not_exceeded,
    the_network_stays_as_it_was,
)
