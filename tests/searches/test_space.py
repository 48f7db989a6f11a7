from itertools import product

import pytest
import torch

from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError
from bitswitch.searches.space import Space, pick

from .exact_problems import cost_model, policies, problem

COSTS = ["bitops", "size", "average-bits", "weighted-average-bits", "activation-bits"]


def vectors(space):
    return [space.vector(pairs) for pairs in product(space.choices, repeat=len(space.layers))]


def small(cost="bitops", share=0.4, tied=True, bitset=(8, 4, 2)):
    costs = cost_model([3, 50, 20], [70, 5, 30], first_last=True)
    limit = Constraint(cost, costs.uniform(cost, 2) * (1 - share) + costs.uniform(cost, 8) * share)
    return problem(costs, limit, tied=tied, bitset=bitset)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cost", COSTS)
def test_costs_and_budget_are_those_of_the_problem(cost, tied):
    posed = small(cost, tied=tied)
    space = Space.of(posed)
    found = [space.policy(vector) for vector in vectors(space)]
    assert found == policies(posed)
    for vector, policy in zip(vectors(space), found, strict=True):
        assert space.cost(vector) == pytest.approx(posed.costs.total(cost, policy), rel=1e-12)
        assert space.fits(vector) == posed.allows(policy)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cost", COSTS)
def test_reductions_are_all_policies_one_level_below_that_cost_less(cost, tied):
    space = Space.of(small(cost, tied=tied))
    everything = vectors(space)

    def one_level_below(vector, other):
        steps = [
            space.bitset.index(after) - space.bitset.index(before)
            for before, after in zip(vector, other, strict=True)
        ]
        return sorted(steps) == [0] * (len(steps) - 1) + [1]

    for vector in everything[:: 1 if tied else 7]:
        expected = {
            other
            for other in everything
            if one_level_below(vector, other) and space.cost(other) < space.cost(vector) - 1e-9
        }
        reductions = space.reductions(vector)
        assert {reduction.vector for reduction in reductions} == expected
        for entry, other, saving in reductions:
            assert saving == pytest.approx(space.cost(vector) - space.cost(other))
            assert vector[entry] != other[entry]


def test_the_widest_policy_is_wide_and_the_order_of_the_bit_set_does_not_matter():
    assert Space.of(small()).widest == (8, 8, 8)
    assert Space.of(small(tied=False)).widest == (8,) * 6
    assert Space.of(small(bitset=(2, 8, 4))).widest == (8, 8, 8)


@pytest.mark.parametrize("tied", [True, False])
def test_repair_only_lowers_and_no_further_than_it_must(tied):
    space = Space.of(small(tied=tied))
    generator = torch.Generator().manual_seed(0)
    for vector in vectors(space)[:: 1 if tied else 11]:
        repaired = space.repaired(vector, generator)
        assert space.fits(repaired)
        assert all(after <= before for before, after in zip(vector, repaired, strict=True))
        assert (repaired == vector) == space.fits(vector)


def latencies(slow_at_two):
    """Layer b is slower at two bits than at four."""
    table = {(name, bits, bits): float(bits) for name in "ab" for bits in (8, 4, 2)}
    return {**table, ("b", 2, 2): slow_at_two}


def test_the_cheapest_policy_of_a_latency_table_need_not_be_the_narrowest():
    costs = cost_model([1, 1], latencies=latencies(9.0))
    space = Space.of(problem(costs, Constraint("latency", 6.0), bitset=(8, 4, 2)))
    assert space.cheapest == (2, 4)
    assert [one.vector for one in space.reductions((2, 4))] == []
    assert space.repaired((2, 2), torch.Generator()) == (2, 4)


def test_a_budget_below_the_cheapest_policy_names_the_nearest():
    costs = cost_model([1, 1], latencies=latencies(9.0))
    with pytest.raises(InfeasibleBudgetError, match="can be met is 6"):
        Space.of(problem(costs, Constraint("latency", 5.9), bitset=(8, 4, 2)))


def test_of_equal_costs_the_cheapest_is_the_widest():
    costs = cost_model([3, 5])
    space = Space.of(problem(costs, Constraint("size", 1e9), tied=False, bitset=(8, 2)))
    assert space.cheapest == (2, 8, 2, 8)


def test_picks_are_even():
    generator = torch.Generator().manual_seed(0)
    counts = torch.bincount(torch.tensor([pick(3, generator) for _ in range(600)]))
    assert len(counts) == 3
    assert (counts - 200).abs().max() < 60
