from dataclasses import replace
from math import inf, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.searches.genetic.genetic import Genetic
from tests.searches.exact_problems import policies
from tests.searches.measured_problems import measured_problem, rough_loss

QUICK = {"layers": 2, "width": 32, "epochs": 1, "steps": 60, "learning_rate": 2e-3}
PREDICTING = {"fitness": "predictor", "generations": 10, "population": 20, "predictor": QUICK}
FITNESSES = [{}, PREDICTING]


def search(posed, **options):
    (found,) = Genetic(Genetic.Options(**options)).search(posed)
    return found


def optimum(posed):
    return min(rough_loss(policy) for policy in policies(posed) if posed.allows(policy))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("options", FITNESSES, ids=["held-out", "predictor"])
def test_the_best_of_all_that_were_evaluated_is_returned(options, tied):
    posed, measured = measured_problem(allowed=30, tied=tied)
    found = search(posed, **options)
    assert len(measured.seen) == 30
    assert len({str(policy) for policy in measured.seen}) == 30
    assert all(posed.allows(policy) for policy in measured.seen)
    losses = {str(policy): rough_loss(policy) for policy in measured.seen}
    assert losses[str(found.policy)] == min(losses.values())
    assert found.objective == pytest.approx(10 + min(losses.values()), abs=0.06)


@pytest.mark.parametrize("options", FITNESSES, ids=["held-out", "predictor"])
def test_one_bit_width_for_all_layers_founds_the_population_unless_told_otherwise(options):
    posed, measured = measured_problem(allowed=3)
    search(posed, **options)
    assert set(measured.seen[0].values()) == {(4, 4)}
    posed, measured = measured_problem(allowed=3)
    search(posed, **options, first="drawn")
    assert len(set(measured.seen[0].values())) > 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", FITNESSES, ids=["held-out", "predictor"])
def test_a_share_of_all_policies_suffices_to_find_the_optimum(options, seed):
    posed, measured = measured_problem(Constraint("size", 800), weights=(10, 40, 20, 30), seed=seed)
    everything = sum(map(posed.allows, policies(posed)))
    measured.allowed = int(0.7 * everything)
    found = search(posed, **options)
    assert rough_loss(found.policy) == optimum(posed)
    assert len(measured.seen) <= measured.allowed < everything


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    share=st.floats(0, 1),
    allowed=st.integers(1, 25),
    tied=st.booleans(),
)
def test_any_budget_and_any_number_of_evaluations(weights, share, allowed, tied):
    posed, measured = measured_problem(weights=weights, allowed=allowed, tied=tied)
    least, most = posed.costs.range("bitops", posed.bitset)
    object.__setattr__(posed, "limit", Constraint("bitops", least + share * (most - least)))
    found = search(posed, attempts=5)
    assert posed.allows(found.policy)
    assert len(measured.seen) <= allowed


def test_evolution_beats_random_policies_with_as_many_evaluations():
    from bitswitch.searches.random_search import Random

    def loss(policy):
        pairs = policy.values()
        return sum((k % 5) ** 3 * 4.0 ** (1 - bits / 2) for k, (bits, _) in enumerate(pairs))

    gained = []
    for seed in range(3):
        common = {"weights": [1] * 15, "loss": loss, "allowed": 150, "seed": seed}
        evolved = search(measured_problem(**common)[0], population=20)
        (drawn,) = Random(Random.Options()).search(measured_problem(**common)[0])
        gained.append(drawn.objective - evolved.objective)
    assert min(gained) > 0


def test_the_predictor_learns_from_its_share_and_the_rest_confirms():
    posed, measured = measured_problem(weights=[1] * 10, allowed=50)
    search(posed, training_share=0.6, **PREDICTING)
    learned, confirmed = measured.seen[:30], measured.seen[30:]
    mean = [sum(map(rough_loss, part)) / len(part) for part in (learned, confirmed)]
    assert len(confirmed) == 20
    assert mean[1] < mean[0]


def test_a_problem_with_one_policy():
    for options in FITNESSES:
        posed, measured = measured_problem(Constraint("average-bits", 2.0), allowed=9)
        assert search(posed, **options).policy == dict.fromkeys("abcd", (2, 2))
        assert len(measured.seen) == 1


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, (50, 20, 10, 0.1)),
        ({"fitness": "predictor"}, (100, 500, 25, 0.3)),
        ({"population": 8, "mutation": 0.5}, (8, 20, 10, 0.5)),
    ],
)
def test_sizes_are_the_published_ones_unless_options_say_otherwise(options, sizes):
    assert Genetic(Genetic.Options(**options)).sizes == sizes


def test_too_few_evaluations_are_named():
    with pytest.raises(SpecError, match="at least 1 evaluations"):
        search(measured_problem(allowed=0)[0])
    with pytest.raises(SpecError, match="at least 3 evaluations"):
        search(measured_problem(allowed=2)[0], **PREDICTING)


def test_an_impossible_budget_is_refused():
    with pytest.raises(InfeasibleBudgetError):
        search(measured_problem(Constraint("average-bits", 1.0))[0])


@pytest.mark.parametrize("options", FITNESSES, ids=["held-out", "predictor"])
def test_the_generator_decides(options):
    def seen(seed):
        posed, measured = measured_problem(allowed=12, seed=seed)
        search(posed, **options)
        return measured.seen

    assert seen(0) == seen(0) != seen(1)


@pytest.mark.parametrize("lost", [2, 28])
def test_headlines_that_are_no_number_do_not_lead_the_predictor_astray(lost):
    posed, measured = measured_problem(allowed=30)
    posed = replace(posed, evaluate=lambda policy: without_number(measured(policy), lost))

    def without_number(found, every):
        place = len(measured.seen) % every
        return found._replace(rank_key=(-inf, -inf)) if place == 0 else found

    found = search(posed, **PREDICTING)
    assert len(measured.seen) == 30
    assert isfinite(found.objective)
