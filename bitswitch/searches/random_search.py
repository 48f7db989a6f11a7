"""Random search: the best of random policies just below the budget."""

from bitswitch.contracts import Candidate, Problem, Search
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
        space = Space.of(problem)
        drawn = Sampler(space, self.options, problem.generator).distinct(
            max(1, problem.remaining())
        )
        found = {vector: problem.evaluate(space.policy(vector)) for vector in drawn}
        best = max(found, key=lambda vector: found[vector].merit)
        return [Candidate(space.policy(best), found[best].error)]
