"""Genetic search: policies evolve by their accuracy, evaluated or predicted."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from bitswitch.contracts.search import Candidate, Evaluation, Problem, Search, require_evaluations
from bitswitch.searches.genetic.evolution import Evolution, EvolutionConfig, Merit
from bitswitch.searches.genetic.predictor import Predictor, PredictorOptions
from bitswitch.searches.sampling import Sampler, SamplingOptions
from bitswitch.searches.space import Space, Vector

Share = Annotated[float, Field(gt=0, lt=1)]

PUBLISHED = {
    "held-out": EvolutionConfig(population=50, generations=20, parents=10, mutation=0.1),
    "predictor": EvolutionConfig(population=100, generations=500, parents=25, mutation=0.3),
}
"""guo2020single; xu2023eqnet."""
LEAST = 3
"""Evaluations of a search that predicts: two policies to learn from, one to confirm."""


class Genetic(Search):
    """Selects policies by the headline on held-out examples, where equal by their loss.

    With fitness ``held-out`` every policy of a generation is evaluated. With ``predictor``, random
    policies are evaluated, a network learns to predict their headline, evolution asks this
    predictor alone, and the rest of the evaluations goes to those that it ranks highest. Either way
    the best policy of all that were evaluated is returned.

    Source: guo2020single (``held-out``), xu2023eqnet (``predictor``).
    """

    source = "guo2020single"
    evaluates = True
    stochastic = True

    class Options(SamplingOptions):
        """Sizes of the evolution; None: the published one of the fitness."""

        fitness: Literal["held-out", "predictor"] = "held-out"
        population: Annotated[int, Field(ge=2)] | None = None
        """50; with the predictor 100. Fewer where evaluations do not suffice: see
        ``EvolutionConfig.within``."""
        generations: PositiveInt | None = None
        """20; with the predictor 500."""
        parents: Annotated[int, Field(ge=2)] | None = None
        """10; with the predictor 25."""
        mutation: Annotated[float, Field(gt=0, le=1)] | None = None
        """Probability of a new bit-width in a mutant: 0.1; with the predictor 0.3, which the
        published code sets but reads under another name, so that it works with 0.1."""
        mutants: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Share of the children; the others have two parents."""
        training_share: Share = 0.8
        """Of the evaluations, for policies that the predictor learns from."""
        predictor: PredictorOptions = PredictorOptions()

    options: Options

    @property
    def sizes(self) -> EvolutionConfig:
        """The published sizes, or the options'."""
        published = PUBLISHED[self.options.fitness]
        given = {key: getattr(self.options, key) for key in EvolutionConfig._fields}
        return published._replace(**{key: one for key, one in given.items() if one is not None})

    def least_evaluations(self, layers: int) -> int:
        """Return 1, or what a predictor needs."""
        return LEAST if self.options.fitness == "predictor" else 1

    def search(self, problem: Problem) -> list[Candidate]:
        space = Space.of(problem)
        sampler = Sampler(space, self.options, problem.generator)
        found: dict[Vector, Evaluation] = {}

        def evaluate(vectors: Sequence[Vector]) -> list[Merit]:
            for vector in vectors:
                found[vector] = problem.evaluate(space.policy(vector))
            return [found[vector].rank_key for vector in vectors]

        least = self.least_evaluations(len(problem.layers))
        require_evaluations("genetic", problem.remaining(), least)
        if self.options.fitness == "held-out":
            sizes = self.sizes.within(problem.remaining())
            evolution = Evolution(sampler, sizes, self.options.mutants, sampler.first())
            evolution.run(evaluate, problem.remaining)
        else:
            first = sampler.first()
            drawn = self._training(problem.remaining()) - len(first)
            evaluate([*first, *sampler.distinct(drawn, first)])
            is_percent = problem.task.headline.unit == "percent"
            evaluate(self._promising(found, sampler, problem.remaining(), is_percent))
        best = max(found, key=lambda vector: found[vector].rank_key)
        return [Candidate(space.policy(best), found[best].error)]

    def _training(self, evaluations: int) -> int:
        """Return how many evaluations the predictor learns from; at least one is left."""
        return min(evaluations - 1, max(2, round(self.options.training_share * evaluations)))

    def _promising(
        self, found: dict[Vector, Evaluation], sampler: Sampler, count: int, is_percent: bool
    ) -> list[Vector]:
        """Return the policies of best predicted headline that were not evaluated yet.

        Policies whose headline is no number teach the predictor nothing.
        """
        merits = {vector: one.merit for vector, one in found.items() if isfinite(one.merit)}
        if len(merits) < LEAST - 1:
            return []
        scale = 100.0 if is_percent else max(map(abs, merits.values())) or 1.0
        generator, space = sampler.generator, sampler.space
        predictor = Predictor(space.bitset, len(space.widest), self.options.predictor, scale)
        predictor.fit(list(merits), list(merits.values()), generator)
        predicted = Evolution(sampler, self.sizes, self.options.mutants).run(
            lambda vectors: [(merit, 0.0) for merit in predictor.predict(vectors)]
        )
        new = [vector for vector in predicted if vector not in found]
        return sorted(new, key=predicted.__getitem__, reverse=True)[:count]
