from dataclasses import replace

import pytest
import torch

from bitswitch.costs import Constraint
from bitswitch.searches.dnas.expected_cost import ExpectedCost
from tests.searches.exact_problems import cost_model, problem

BITSET = (8, 4, 2)
COSTS = ["bitops", "size", "average-bits", "weighted-average-bits", "activation-bits", "latency"]


def posed(cost, tied):
    costs = cost_model(weights=[10, 200, 30], first_last=True)
    names = [shape.name for shape in costs.shapes]
    table = {
        (name, w, a): 0.1 * i + w * a * (i + 1)
        for i, name in enumerate(names)
        for w in (*BITSET, 32)
        for a in (*BITSET, 32)
    }
    costs = replace(costs, latencies=table)
    return problem(costs, Constraint(cost, 1.0), bitset=BITSET, tied=tied)


def gates(operands, seed=0):
    drawn = torch.rand(3, operands, 3, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.sum(-1, keepdim=True)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("tied", [True, False])
def test_it_is_the_mean_over_all_choices(cost, tied):
    one = posed(cost, tied)
    own = gates(1 if tied else 2)
    expected = one.costs.fixed(cost)
    for shape, row in zip(one.costs.layers, own.double(), strict=True):
        for w, a in one.choices:
            share = row[0, BITSET.index(w)] * (1 if tied else row[1, BITSET.index(a)])
            expected += float(share) * one.costs.part(cost, shape, w, a)
    assert float(ExpectedCost.of(one)(own)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cost", COSTS)
def test_at_gates_of_one_and_zero_it_is_the_cost_of_the_policy(cost):
    one = posed(cost, tied=False)
    own = torch.zeros(3, 2, 3)
    own[0, :, 0] = own[1, 0, 1] = own[1, 1, 2] = own[2, :, 2] = 1
    policy = {"a": (8, 8), "b": (4, 2), "c": (2, 2)}
    assert float(ExpectedCost.of(one)(own)) == pytest.approx(one.costs.total(cost, policy))
