import pytest
import torch

from bitswitch.costs import Constraint
from bitswitch.searches.genetic.evolution import Evolution, EvolutionConfig
from bitswitch.searches.sampling import Sampler, SamplingOptions
from bitswitch.searches.space import Space
from tests.searches.exact_problems import cost_model, problem

SMALL = EvolutionConfig(population=8, generations=5, parents=3, mutation=0.3)


def evolution(sizes=SMALL, mutants=0.5, layers=6, limit=4.0, seed=0, tied=True, **options):
    posed = problem(cost_model([1] * layers), Constraint("average-bits", limit), tied=tied)
    generator = torch.Generator().manual_seed(seed)
    sampler = Sampler(Space.of(posed), SamplingOptions(**options), generator)
    return Evolution(sampler, sizes, mutants)


def judge_of(generations, rank_key=lambda vector: vector[0]):
    """Return a judge that keeps the generations it saw."""

    def judge(vectors):
        generations.append(list(vectors))
        return [(float(rank_key(vector)), 0.0) for vector in vectors]

    return judge


@pytest.mark.parametrize(
    ("evaluations", "population", "parents", "generations"),
    [(1000, 50, 10, 20), (5000, 50, 10, 20), (250, 25, 5, 10), (60, 12, 2, 5), (1, 2, 2, 1)],
)
def test_few_evaluations_shrink_population_and_generations_alike(
    evaluations, population, parents, generations
):
    sizes = EvolutionConfig(50, 20, 10, 0.1).within(evaluations)
    assert sizes == (population, generations, parents, 0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_generations_have_new_feasible_policies(tied):
    seen = []
    one = evolution(tied=tied)
    known = one.run(judge_of(seen))
    assert [len(generation) for generation in seen] == [8] * 5
    assert len(known) == 40
    assert all(one.sampler.space.fits(vector) for vector in known)
    assert known == {v: (float(v[0]), 0.0) for generation in seen for v in generation}


def ancestors(generation, seen, rank_key):
    """Return the best three policies before a generation; all merits must differ."""
    before = [vector for earlier in seen[:generation] for vector in earlier]
    return sorted(before, key=rank_key, reverse=True)[:3]


def weighed(vector):
    return sum(bits * 9.0**place for place, bits in enumerate(vector))


def test_crossings_have_every_entry_from_one_of_two_of_the_best_so_far():
    seen = []
    evolution(mutants=0.0, layers=12).run(judge_of(seen, weighed))
    crossed = 0
    for generation in (1, 2):
        parents = ancestors(generation, seen, weighed)
        for child in seen[generation]:
            pairs = [
                (one, other)
                for one in parents
                for other in parents
                if one != other
                and all(bits in pair for bits, *pair in zip(child, one, other, strict=True))
            ]
            crossed += bool(pairs)
    assert crossed >= 12


def test_mutants_change_as_many_entries_as_the_probability_says():
    seen = []
    sizes = EvolutionConfig(population=60, generations=2, parents=1, mutation=0.2)
    evolution(sizes, mutants=1.0, layers=24, limit=6.0).run(judge_of(seen, weighed))
    (parent,) = ancestors(1, seen, weighed)[:1]
    changed = [
        sum(bits != own for bits, own in zip(child, parent, strict=True)) for child in seen[1]
    ]
    assert sum(changed) / len(changed) / 24 == pytest.approx(0.2 * 3 / 4, abs=0.04)


def test_it_ends_when_every_policy_is_known():
    seen = []
    known = evolution(SMALL._replace(generations=1000), layers=2, slack=1.0).run(judge_of(seen))
    assert len(known) == 6
    assert len(seen) < 20


def test_what_may_still_be_judged_is_never_exceeded():
    seen = []
    judge = judge_of(seen)
    known = evolution().run(judge, allowed=lambda: 13 - sum(map(len, seen)))
    assert [len(generation) for generation in seen] == [8, 5]
    assert len(known) == 13


def test_children_over_a_tight_budget_are_repaired():
    seen = []
    one = evolution(SMALL._replace(mutation=1.0), mutants=1.0, layers=20, limit=3.0, attempts=1)
    known = one.run(judge_of(seen))
    assert len(known) > 30
    assert all(one.sampler.space.fits(vector) for vector in known)


def test_the_generator_decides():
    first, again, other = (list(evolution(seed=s).run(judge_of([]))) for s in (0, 0, 1))
    assert first == again != other
