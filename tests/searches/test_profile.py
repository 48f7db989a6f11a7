"""Tests of ``bitswitch.searches.profile``."""

import pytest

from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError
from bitswitch.plugins import registry
from tests.searches.exact_problems import cost_model, problem

LAYERS = 8  # a to h, each a block


def widths(limit, shape, **options):
    costs = cost_model([10] * LAYERS)
    made = registry.create("searches", "profile", {"shape": shape})
    (found,) = made.search(problem(costs, limit, **options))
    assert found.objective is None
    return list(found.policy.values())


def test_all_bits_are_where_the_shape_says():
    limit = Constraint("average-bits", 5.0)
    assert widths(limit, "pyramid", bitset=(8, 2)) == [2, 2, 8, 8, 8, 8, 2, 2]
    assert widths(limit, "reverse", bitset=(8, 2)) == [8, 8, 2, 2, 2, 2, 8, 8]
    assert widths(limit, "increasing", bitset=(8, 2)) == [2] * 4 + [8] * 4
    assert widths(limit, "decreasing", bitset=(8, 2)) == [8] * 4 + [2] * 4


def test_the_ramp_has_steps_of_all_bit_widths():
    found = widths(Constraint("average-bits", 5.0), "decreasing")
    assert found == sorted(found, reverse=True)
    assert set(found) == {8, 6, 4, 2}


@pytest.mark.parametrize("shape", ["pyramid", "reverse", "increasing", "decreasing"])
@pytest.mark.parametrize("cost", ["average-bits", "size"])
def test_a_larger_budget_raises_some_blocks_and_lowers_none(shape, cost):
    costs = cost_model([10] * LAYERS)
    least, most = costs.range(cost, (8, 6, 4, 2))
    before = [2] * LAYERS
    for share in (0.0, 0.3, 0.5, 0.8, 1.0):
        limit = Constraint(cost, least + share * (most - least))
        found = widths(limit, shape)
        policy = dict(zip("abcdefgh", found, strict=True))
        assert limit.allows(costs, policy)
        assert all(a <= b for a, b in zip(before, found, strict=True))
        before = found
    assert before == [8] * LAYERS


def test_layers_of_a_block_have_one_bit_width():
    costs = cost_model([10] * 4)
    names = ["layers.0.q", "layers.0.k", "layers.1.q", "layers.1.k"]
    shapes = [shape._replace(name=name) for shape, name in zip(costs.layers, names, strict=True)]
    costs = type(costs)(shapes)
    made = registry.create("searches", "profile", {"shape": "decreasing"})
    (found,) = made.search(problem(costs, Constraint("average-bits", 5.0), bitset=(8, 2)))
    assert found.policy == dict(zip(names, (8, 8, 2, 2), strict=True))


def test_a_budget_below_the_narrowest_names_what_that_costs():
    with pytest.raises(InfeasibleBudgetError) as caught:
        widths(Constraint("average-bits", 1.0), "pyramid")
    assert caught.value.nearest == 2
