"""Uniform: the widest bit-width within the budget, in every layer."""

from bitswitch.contracts.search import Candidate, Problem, Search
from bitswitch.errors import InfeasibleBudgetError


class Uniform(Search):
    """What every other search has to beat."""

    def search(self, problem: Problem) -> list[Candidate]:
        bits = problem.widest_uniform()
        if bits is not None:
            return [Candidate(dict.fromkeys(problem.layers, bits))]
        least, _ = problem.costs.range(problem.limit.cost, problem.bitset)
        raise InfeasibleBudgetError(problem.limit.cost, problem.limit.value, least)
