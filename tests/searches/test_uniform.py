"""Tests of ``bitswitch.searches.uniform``."""

import pytest

from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError
from bitswitch.plugins import registry
from tests.searches.exact_problems import cost_model, problem


def search(limit, **options):
    costs = cost_model([3, 50, 7])
    return registry.create("searches", "uniform", {}).search(problem(costs, limit, **options))


@pytest.mark.parametrize(("mean", "bits"), [(2, 2), (3.9, 2), (4, 4), (7.5, 6), (100, 8)])
def test_every_layer_has_the_widest_bit_width_that_the_budget_allows(mean, bits):
    (found,) = search(Constraint("average-bits", mean))
    assert found.policy == dict.fromkeys("abc", bits)
    assert found.objective is None


def test_the_order_of_the_bit_set_does_not_matter():
    (found,) = search(Constraint("average-bits", 5.0), bitset=(2, 8, 4))
    assert found.policy == dict.fromkeys("abc", 4)


def test_a_budget_below_the_narrowest_names_what_that_costs():
    with pytest.raises(InfeasibleBudgetError) as caught:
        search(Constraint("bitops", 100.0))
    assert caught.value.nearest == 60 * 4
