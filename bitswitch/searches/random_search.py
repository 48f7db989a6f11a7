"""Random search: the best of one bit-width for all layers and random policies below the budget."""

from bitswitch.contracts.search import Candidate, Problem, Search, require_evaluations
from bitswitch.searches.sampling import Sampler, SamplingOptions
from bitswitch.searches.space import Space


class Random(Search):
    """What other searches that evaluate have to beat with as many evaluations."""

    evaluates = True
    stochastic = True

    class Options(SamplingOptions):
        """How policies are drawn."""

    options: Options

    def search(self, problem: Problem) -> list[Candidate]:
        allowed, space = problem.remaining(), Space.of(problem)
        require_evaluations("random", allowed, 1)
        sampler = Sampler(space, self.options, problem.generator)
        first = sampler.first()
        vectors = [*first, *sampler.distinct(allowed - len(first), first)]
        found = {vector: problem.evaluate(space.policy(vector)) for vector in vectors}
        best = max(found, key=lambda vector: found[vector].rank_key)
        return [Candidate(space.policy(best), found[best].error)]
