"""Tests of ``bitswitch.searches.exact.ilp``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint
from bitswitch.errors import SpecError, UnreachableBudgetError
from bitswitch.plugins import registry
from tests.searches.exact_problems import (
    cost_model,
    layer_scores,
    policies,
    problem,
    scores_by_bits,
    total,
)

BITSET = (8, 6, 4, 2)
SIZES = [3, 50, 7, 20]
TRACES = st.lists(st.floats(-0.1, 10), min_size=4, max_size=4)


def search(one, **options):
    return registry.create("searches", "ilp", options).search(one)


def table(seed):
    return np.random.default_rng(seed).lognormal(0, 1, (4, 4)) * 4.0 ** -np.array(BITSET)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), mean=st.floats(2, 8))
def test_omega_has_the_least_sum_of_scores_at_the_chosen_bit_widths(seed, mean):
    scores = Scores(scores_by_bits(table(seed), BITSET))
    one = problem(cost_model(SIZES), Constraint("weighted-average-bits", mean), scores)
    (found,) = search(one)
    fits = [policy for policy in policies(one) if one.allows(policy)]
    assert found.objective == pytest.approx(min(total(scores.of_policy, p) for p in fits))
    assert one.allows(found.policy)


@settings(max_examples=20, deadline=None)
@given(traces=TRACES, steps=st.integers(0, 12), exact=st.booleans())
def test_sign_fixed_gives_the_most_bits_to_the_most_sensitive_layers(traces, steps, exact):
    one = problem(
        cost_model(SIZES), Constraint("average-bits", 2 + 2 * steps / 4), layer_scores(traces)
    )
    kind = "exact" if exact else "at-most"
    (found,) = search(one, objective="sign-fixed", budget_kind=kind)
    fits = [
        policy
        for policy in policies(one)
        if one.allows(policy)
        and (not exact or one.costs.total("average-bits", policy) == one.limit.value)
    ]
    sums = [sum(t * w for t, (w, _) in zip(traces, p.values(), strict=True)) for p in fits]
    assert -found.objective == pytest.approx(max(sums), abs=1e-9)


def test_the_printed_objective_gives_the_fewest_bits_to_the_most_sensitive_layers():
    one = problem(
        cost_model(SIZES), Constraint("average-bits", 5), layer_scores([4.0, 1.0, 3.0, 2.0])
    )
    (printed,) = search(one, objective="as-printed", budget_kind="exact")
    assert [weight for weight, _ in printed.policy.values()] == [2, 8, 2, 8]
    assert printed.objective == 4 * 2 + 1 * 8 + 3 * 2 + 2 * 8
    (fixed,) = search(one, objective="sign-fixed", budget_kind="exact")
    assert [weight for weight, _ in fixed.policy.values()] == [8, 2, 8, 2]


def test_the_printed_objective_needs_the_printed_constraint():
    with pytest.raises(SpecError, match="gives every layer the narrowest bit-width"):
        registry.create("searches", "ilp", {"objective": "as-printed"})


def test_only_a_mean_bit_width_is_met_exactly():
    one = problem(cost_model(SIZES), Constraint("bitops", 1e3), layer_scores([1.0] * 4))
    with pytest.raises(SpecError, match="exactly a given bitops"):
        search(one, objective="sign-fixed", budget_kind="exact")


def test_a_mean_off_the_lattice_names_both_neighbours():
    one = problem(cost_model(SIZES), Constraint("average-bits", 3.05), layer_scores([1.0] * 4))
    with pytest.raises(UnreachableBudgetError, match=r"exactly 3\.05: .* are 3 and 3\.5\."):
        search(one, objective="sign-fixed", budget_kind="exact")


def test_a_latency_budget_is_kept():
    latencies = {(name, b, b): 0.1 + b * k for k, name in enumerate("abcd", 1) for b in BITSET}
    scores = Scores(scores_by_bits(table(1), BITSET))
    one = problem(cost_model(SIZES, latencies=latencies), Constraint("latency", 40.0), scores)
    (found,) = search(one)
    fits = [policy for policy in policies(one) if one.allows(policy)]
    assert found.objective == pytest.approx(min(total(scores.of_policy, p) for p in fits))


def test_weights_and_inputs_get_bit_widths_of_their_own_where_both_are_scored():
    weights, inputs = table(1)[:2, :2], table(2)[:2, :2]
    rows = scores_by_bits(weights, (8, 4), "weight") + scores_by_bits(inputs, (8, 4), "activation")
    one = problem(
        cost_model([3, 5]), Constraint("bitops", 8 * 32.0), Scores(rows), (8, 4), tied=False
    )
    (found,) = search(one)
    fits = [policy for policy in policies(one) if one.allows(policy)]
    assert found.objective == pytest.approx(min(total(one.scores.of_policy, p) for p in fits))


@pytest.mark.parametrize("objective", ["omega", "sign-fixed"])
def test_scores_of_whole_layers_cannot_set_inputs_apart(objective):
    one = problem(cost_model(SIZES), Constraint("bitops", 1e4), layer_scores([1.0] * 4), tied=False)
    with pytest.raises(SpecError, match="does not score inputs apart from weights"):
        search(one, objective=objective)


@pytest.mark.parametrize(("objective", "wanted"), [("omega", "at 8 bits"), ("sign-fixed", "own")])
def test_scores_that_do_not_fit_the_objective_are_named(objective, wanted):
    by_bits = Scores(scores_by_bits(table(1), BITSET), "errors")
    scores = layer_scores([1.0] * 4) if objective == "omega" else by_bits
    with pytest.raises(SpecError, match=wanted):
        search(problem(cost_model(SIZES), Constraint("bitops", 1e4), scores), objective=objective)


def test_a_search_without_scores_says_so():
    one = problem(cost_model(SIZES), Constraint("bitops", 1e4))
    with pytest.raises(SpecError, match="name a sensitivity"):
        search(one)


def test_several_candidates_are_evaluated():
    assert not registry.create("searches", "ilp", {}).evaluates
    several = registry.create("searches", "ilp", {"candidates": 3})
    assert several.evaluates
    one = problem(
        cost_model(SIZES), Constraint("average-bits", 4), Scores(scores_by_bits(table(1), BITSET))
    )
    found = several.search(one)
    assert len(found) == 3
    assert [one.objective for one in found] == sorted(one.objective for one in found)
