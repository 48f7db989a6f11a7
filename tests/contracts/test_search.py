from math import nan

import pytest

from bitswitch.contracts.search import Evaluation
from bitswitch.costs import Constraint
from tests.searches.exact_problems import cost_model, problem


def test_policies_compare_by_top1_then_by_loss():
    ranked = [
        Evaluation(60, 0.9),
        Evaluation(60, 1.0),
        Evaluation(60, nan),
        Evaluation(50, 0.1),
        Evaluation(50, nan),
    ]
    assert sorted(reversed(ranked), key=lambda one: one.rank_key, reverse=True) == ranked
    assert [one.error for one in ranked[::3]] == [40, 50]


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
