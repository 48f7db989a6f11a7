"""Tests of ``bitswitch.searches.exact.integer_program``."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.costs import Constraint, CostModel
from bitswitch.errors import InfeasibleBudgetError, SpecError, UnreachableBudgetError
from bitswitch.searches.exact.integer_program import Program
from tests.searches.exact_problems import cost_model, policies, problem, shape, total

SIZES = [3, 50, 7]
COSTS = ["bitops", "size", "average-bits", "weighted-average-bits", "activation-bits", "latency"]


def table_loss(seed):
    """Return a loss with a random number for every layer and bit-widths."""
    draw, found = np.random.default_rng(seed), {}
    return lambda *key: found.setdefault(key, float(draw.lognormal(0, 2)))


def latencies(seed):
    """Return milliseconds that do not always fall with the bit-width."""
    draw = np.random.default_rng(seed)
    return {key: float(draw.random()) for key in product("abc", (8, 6, 4, 2), (8, 6, 4, 2))}


@settings(max_examples=60, deadline=None)
@given(
    cost=st.sampled_from(COSTS),
    seed=st.integers(0, 10**6),
    share=st.floats(0, 1),
    tied=st.booleans(),
    first_last=st.booleans(),
)
def test_the_policy_is_the_best_of_all(cost, seed, share, tied, first_last):
    first_last = first_last and cost != "latency"
    bitset = (8, 6, 4, 2) if tied else (8, 4)
    costs = cost_model(SIZES, [20, 5, 9], first_last, latencies=latencies(seed))
    one = problem(costs, Constraint(cost, 1.0), bitset=bitset, tied=tied)
    totals = [costs.total(cost, policy) for policy in policies(one)]
    limit = Constraint(cost, min(totals) + share * (max(totals) - min(totals)))
    loss = table_loss(seed)
    best = min(total(loss, p) for p in policies(one) if limit.allows(costs, p))
    (found,) = Program(costs, one.choices, [limit], loss).solve()
    assert limit.allows(costs, found.policy)
    assert total(loss, found.policy) == pytest.approx(found.objective, rel=1e-9)
    assert found.objective == pytest.approx(best, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 9))
def test_several_policies_are_the_best_distinct_ones_in_order(seed, count):
    one = problem(cost_model(SIZES), Constraint("size", 60 * 4.0 + 96))
    loss = table_loss(seed)
    expected = sorted(total(loss, p) for p in policies(one) if one.allows(p))[:count]
    found = Program.of(one, loss).solve(count)
    assert len({tuple(one.policy.items()) for one in found}) == count
    assert [one.objective for one in found] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(6, 24), first_last=st.booleans())
def test_a_mean_bit_width_is_met_exactly_or_its_neighbours_are_named(seed, bits, first_last):
    costs = cost_model(SIZES, first_last=first_last)
    mean = (bits + 32 * first_last) / (3 + first_last)
    one = problem(costs, Constraint("average-bits", mean))
    program = Program.of(one, table_loss(seed), exact=True)
    fits = [p for p in policies(one) if costs.total("average-bits", p) == pytest.approx(mean)]
    if fits:
        (found,) = program.solve()
        assert costs.total("average-bits", found.policy) == pytest.approx(mean)
        assert found.objective == pytest.approx(min(total(program.loss, p) for p in fits))
    else:
        with pytest.raises(UnreachableBudgetError) as caught:
            program.solve()
        step = 1 / (3 + first_last)
        assert caught.value.reachable == pytest.approx([mean - step, mean + step])


def test_an_exact_budget_beyond_all_policies_has_one_neighbour():
    for mean, nearest in ((1.0, 2.0), (9.0, 8.0)):
        one = problem(cost_model(SIZES), Constraint("average-bits", mean))
        with pytest.raises(
            UnreachableBudgetError, match=f"nearest that policies have are {nearest:g}"
        ):
            Program.of(one, table_loss(0), exact=True).solve()


def test_the_named_neighbour_can_be_asked_for():
    one = problem(cost_model([1] * 7), Constraint("average-bits", 3.1))
    with pytest.raises(UnreachableBudgetError) as caught:
        Program.of(one, table_loss(0), exact=True).solve()
    printed = float(str(caught.value).split("have are ")[1].split(" and ")[0])
    (found,) = Program.of(
        problem(one.costs, Constraint("average-bits", printed)), table_loss(0), exact=True
    ).solve()
    assert one.costs.total("average-bits", found.policy) == pytest.approx(printed)


@pytest.mark.parametrize(
    ("cost", "first_last"), [*product(COSTS[:-1], (False, True)), ("latency", False)]
)
def test_the_least_cost_is_named_where_the_budget_is_too_small(cost, first_last):
    costs = cost_model(SIZES, first_last=first_last, latencies=latencies(3))
    one = problem(costs, Constraint(cost, 1e-3))
    with pytest.raises(InfeasibleBudgetError, match="the nearest budget that can be met") as caught:
        Program.of(one, table_loss(0)).solve()
    least = min(costs.total(cost, policy) for policy in policies(one))
    assert caught.value.nearest == pytest.approx(least)
    one = problem(costs, Constraint(cost, caught.value.nearest))
    assert costs.total(cost, Program.of(one, table_loss(0)).solve()[0].policy) <= least * (1 + 1e-9)


def test_two_limits_hold_together():
    costs, loss = cost_model(SIZES, [20, 5, 9]), table_loss(5)
    limits = [Constraint("bitops", 34 * 16.0), Constraint("size", 60 * 3.0 + 96)]
    one = problem(costs, limits[0])
    fits = [p for p in policies(one) if all(limit.allows(costs, p) for limit in limits)]
    (found,) = Program(costs, one.choices, limits, loss).solve()
    assert found.objective == pytest.approx(min(total(loss, policy) for policy in fits))


def test_the_limit_that_cannot_be_met_is_the_one_that_is_named():
    costs, loss = cost_model(SIZES), table_loss(5)
    choices = [(bits, bits) for bits in (8, 4, 2)]
    for limits, cost in (
        ([Constraint("bitops", 1.0), Constraint("size", 500.0)], "bitops"),
        ([Constraint("bitops", 1e4), Constraint("size", 1.0)], "size"),
    ):
        with pytest.raises(InfeasibleBudgetError, match=f"No policy has {cost}"):
            Program(costs, choices, limits, loss).solve()


def test_layers_that_follow_another_share_its_bit_widths():
    costs = cost_model(SIZES)
    one, loss = problem(costs, Constraint("size", 60 * 5.0 + 96)), table_loss(7)
    fits = [p for p in policies(one) if one.allows(p) and p["a"] == p["c"]]
    program = Program(costs, one.choices, [one.limit], loss, leaders={"c": "a"})
    (found,) = program.solve()
    assert list(found.policy) == ["a", "b", "c"]
    assert found.policy["a"] == found.policy["c"]
    assert found.objective == pytest.approx(min(total(loss, policy) for policy in fits))


def test_a_choice_of_infinite_loss_is_never_taken():
    one = problem(cost_model(SIZES), Constraint("average-bits", 2.0))

    def loss(layer, weight, activation):
        return math.inf if (layer, weight) == ("b", 2) else float(weight)

    with pytest.raises(InfeasibleBudgetError) as caught:
        Program.of(one, loss).solve()
    assert caught.value.nearest == pytest.approx((2 + 4 + 2) / 3)
    with pytest.raises(SpecError, match="No bit-width is allowed for a"):
        Program.of(one, lambda layer, *_: math.inf).solve()


def test_a_loss_that_is_no_number_is_an_error():
    one = problem(cost_model(SIZES), Constraint("average-bits", 4.0))
    with pytest.raises(SpecError, match="The loss of b is no number"):
        Program.of(one, lambda layer, *_: math.nan if layer == "b" else 1.0).solve()


def test_layers_alike_leave_nothing_to_choose():
    one = problem(cost_model([4, 4]), Constraint("size", 1e9), bitset=(8,))
    assert Program.of(one, lambda *_: 1.0).solve(count=3)[0].policy == {"a": (8, 8), "b": (8, 8)}


def test_at_full_size_the_policy_is_that_of_dynamic_programming():
    draw, bitset, count = np.random.default_rng(0), (8, 6, 4, 3, 2), 53
    losses = draw.lognormal(0, 2, (count, 1)) * 4.0 ** -np.array(bitset)
    losses *= draw.lognormal(0, 0.2, losses.shape)
    shapes = [shape(f"layer{index}") for index in range(count)]
    budget = 53 * 4
    best = np.full(budget + 1, np.inf)
    best[0] = 0.0
    for row in losses:
        after = np.full_like(best, np.inf)
        for bits, loss in zip(bitset, row, strict=True):
            after[bits:] = np.minimum(after[bits:], best[:-bits] + loss)
        best = after
    one = problem(CostModel(shapes), Constraint("average-bits", 4.0), bitset=bitset)

    def loss(layer, weight, activation):
        return losses[int(layer[5:]), bitset.index(weight)]

    (at_most,), (exact,) = (Program.of(one, loss, exact=e).solve() for e in (False, True))
    assert at_most.objective == pytest.approx(best.min(), rel=1e-9)
    assert exact.objective == pytest.approx(best[budget], rel=1e-9)
