from math import nan

import pytest

from bitswitch.contracts.metric import LOSS, Found, Metric
from bitswitch.contracts.search import Evaluation
from bitswitch.costs import Constraint
from tests.searches.exact_problems import cost_model, evaluation, problem


def test_policies_compare_by_top1_then_by_loss():
    ranked = [
        evaluation(60, 0.9),
        evaluation(60, 1.0),
        evaluation(60, nan),
        evaluation(50, 0.1),
        evaluation(50, nan),
    ]
    assert sorted(reversed(ranked), key=lambda one: one.rank_key, reverse=True) == ranked
    assert [one.error for one in ranked[::3]] == [40, 50]
    assert [one.merit for one in ranked[::3]] == [60, 50]


def test_where_lower_is_better_policies_compare_the_other_way():
    metric = Metric("mae", "Mean absolute error", "years", "lower", 2)
    pairs = [(0.25, 9.0), (0.5, 1.0), (0.5, 2.0)]
    ranked = [Evaluation.of(Found({"mae": mae, LOSS: loss}, 0), metric) for mae, loss in pairs]
    assert sorted(reversed(ranked), key=lambda one: one.rank_key, reverse=True) == ranked
    assert [one.error for one in ranked] == [0.25, 0.5, 0.5]
    assert [one.merit for one in ranked] == [-0.25, -0.5, -0.5]


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_headline_that_is_no_number_ranks_last(better):
    metric = Metric("mae", "Mean absolute error", "years", better, 2)
    lost, found = (Evaluation.of(Found({"mae": v, LOSS: 1.0}, 0), metric) for v in (nan, 9.0))
    assert max([lost, found], key=lambda one: one.rank_key) is found
    assert max([found, lost], key=lambda one: one.rank_key) is found


@pytest.mark.parametrize(
    ("value", "allowed"),
    [(4.0, True), (4.0 * (1 - 1e-12), True), (4.0 * (1 - 1e-6), False), (3.9, False), (9.0, True)],
)
def test_a_limit_is_an_upper_bound_up_to_rounding(value, allowed):
    costs = cost_model([3, 5, 7])
    policy = {"a": 8, "b": (2, 8), "c": 2}
    assert Constraint("average-bits", value).allows(costs, policy) is allowed
    assert problem(costs, Constraint("average-bits", value)).allows(policy) is allowed


def test_a_problem_names_the_layers_that_can_be_switched():
    costs = cost_model([3, 5], first_last=True)
    assert problem(costs, Constraint("size", 9)).layers == ["a", "b"]


def test_choices_are_pairs_and_equal_where_tied():
    limit = Constraint("size", 9)
    tied = problem(cost_model([1]), limit, bitset=(8, 2))
    assert tied.choices == [(8, 8), (2, 2)]
    free = problem(cost_model([1]), limit, bitset=(8, 2), tied=False)
    assert free.choices == [(8, 8), (8, 2), (2, 8), (2, 2)]
