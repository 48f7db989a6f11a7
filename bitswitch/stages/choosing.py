"""What becomes of the policies that a search returns: they are checked, and one is chosen."""

from collections.abc import Sequence

from bitswitch.contracts.search import Candidate, Problem
from bitswitch.errors import BitWidthError, PluginError
from bitswitch.nn.policy import resolve
from bitswitch.types import Policy, format_bitset


def best_of(candidates: Sequence[Candidate], problem: Problem, who: str) -> Candidate:
    """Return the candidate that is best on held-out images, as far as evaluations go.

    Args:
        candidates: What a search returned, best first.
        problem: That it was given.
        who: The search, for messages.

    Raises:
        PluginError: the search returned nothing, or a policy that the problem does not allow.
    """
    if not candidates:
        raise PluginError(f"{who} returns no policy: raise InfeasibleBudgetError where none fits.")
    for candidate in candidates:
        _check(candidate.policy, problem, who)
    compared = candidates[: problem.remaining()]
    if len(compared) < 2:
        return candidates[0]
    return max(compared, key=lambda candidate: problem.evaluate(candidate.policy).rank_key)


def _check(policy: Policy, problem: Problem, who: str) -> None:
    """Raise PluginError where ``policy`` is not one that the problem allows."""
    try:
        pairs = resolve(policy, problem.layers, problem.bitset)
    except BitWidthError as error:
        raise PluginError(f"{who} returns a policy that the model does not have. {error}") from None
    for layer, pair in pairs.items():
        if pair not in problem.choices:
            kind = "tied bit-widths" if problem.tied else "bit-widths"
            raise PluginError(
                f"{who} returns a policy with {pair} (weights, inputs) in layer '{layer}'; the "
                f"problem asks for {kind} of {format_bitset(problem.bitset)}."
            )
    if not problem.allows(pairs):
        cost = problem.costs.total(problem.limit.cost, pairs)
        raise PluginError(
            f"{who} returns a policy with {problem.limit.cost} {cost:g}; the budget is "
            f"{problem.limit.value:g}."
        )
