"""Tests of ``bitswitch.searches.sort``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.plugins import registry
from bitswitch.searches.sort import fitted_amplitudes
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
EVENLY = st.sampled_from([(8, 6, 4, 2), (4, 3, 2), (8, 4), (8, 7, 6, 5, 4, 3, 2)])


def search(one, name="sort", **options):
    return registry.create("searches", name, options).search(one)


@settings(max_examples=40, deadline=None)
@given(
    traces=st.lists(st.integers(-5, 50), min_size=4, max_size=4),
    bitset=EVENLY,
    share=st.floats(0, 1),
)
def test_filling_the_most_sensitive_first_is_the_integer_program_with_its_sign_fixed(
    traces, bitset, share
):
    mean = min(bitset) + share * (max(bitset) - min(bitset))
    scores = layer_scores([float(trace) for trace in traces])
    one = problem(cost_model(SIZES), Constraint("average-bits", mean), scores, bitset)
    (found,) = search(one)
    (exact,) = search(one, "ilp", objective="sign-fixed")
    assert one.allows(found.policy)
    assert found.objective == pytest.approx(exact.objective)
    inside = [bits for bits in found.policy.values() if min(bitset) < bits < max(bitset)]
    assert len(inside) <= 1


@settings(max_examples=30, deadline=None)
@given(
    traces=st.lists(st.integers(0, 50), min_size=4, max_size=4),
    steps=st.integers(0, 12),
)
def test_filling_the_least_sensitive_first_is_the_printed_program(traces, steps):
    scores = layer_scores([float(trace) for trace in traces])
    one = problem(cost_model(SIZES), Constraint("average-bits", 2 + 2 * steps / 4), scores)
    (found,) = search(one, order="as-printed")
    (exact,) = search(one, "ilp", objective="as-printed", budget_kind="exact")
    assert found.objective == pytest.approx(exact.objective)


def test_by_weights_the_smallest_layers_are_the_widest():
    sort = registry.create("searches", "sort", {"by": "weights"})
    assert not sort.scored
    (found,) = sort.search(problem(cost_model(SIZES), Constraint("size", 4 * 32 + 80 * 3.5)))
    # 280 bits: 3 * 8 + 7 * 8 + 20 * 4 + 50 * 2 = 260, and no layer fits wider
    assert found.policy == {"a": 8, "c": 8, "d": 4, "b": 2}
    assert found.objective is None


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    mean=st.floats(2, 8),
    cost=st.sampled_from(["average-bits", "weighted-average-bits"]),
    first_last=st.booleans(),
)
def test_the_rounded_closed_form_is_allowed_and_near_the_integer_program(
    seed, mean, cost, first_last
):
    bitset = (8, 7, 6, 5, 4, 3, 2)
    amplitudes = np.random.default_rng(seed).lognormal(0, 2, (4, 1))
    scores = Scores(scores_by_bits(amplitudes * 4.0 ** -np.array(bitset), bitset))
    costs = cost_model(SIZES, first_last=first_last)
    one = problem(costs, Constraint(cost, costs.uniform(cost, mean)), scores, bitset)
    (found,) = search(one, rule="closed-form")
    (exact,) = search(one, "ilp")
    assert one.allows(found.policy)
    pairs = {layer: (bits, bits) for layer, bits in found.policy.items()}
    assert found.objective == pytest.approx(total(scores.of_policy, pairs))
    # Rounding down costs less than one bit per layer: a factor of four at most.
    assert exact.objective * (1 - 1e-9) <= found.objective <= 4 * exact.objective


def test_the_closed_form_on_its_own_lattice_is_the_integer_program():
    bitset = (7, 6, 5, 4, 3)
    amplitudes = 4.0 ** np.array([[7.0], [3.0], [5.0], [5.0]])
    scores = Scores(scores_by_bits(amplitudes * 4.0 ** -np.array(bitset), bitset))
    one = problem(cost_model(SIZES), Constraint("average-bits", 5.0), scores, bitset)
    (found,) = search(one, rule="closed-form")
    assert found.policy == {"a": 7, "b": 3, "c": 5, "d": 5}
    assert found.objective == pytest.approx(search(one, "ilp")[0].objective)


def test_amplitudes_are_the_mean_of_logarithms():
    bits = np.array([8.0, 4.0, 2.0])
    scores = np.array([3.0 * 4.0**-bits, [4.0**-8, 4.0**-4, 4.0 * 4.0**-2], [1.0, 0.0, 1.0]])
    assert fitted_amplitudes(scores, bits) == pytest.approx([3.0, 4.0 ** (1 / 3), 0.0])


def test_the_closed_form_needs_a_linear_cost():
    scores = Scores(scores_by_bits(np.ones((4, 4)), BITSET))
    with pytest.raises(SpecError, match="linear in bits, not bitops"):
        search(problem(cost_model(SIZES), Constraint("bitops", 1e9), scores), rule="closed-form")


@pytest.mark.parametrize("options", [{}, {"rule": "closed-form"}, {"by": "weights"}])
def test_a_budget_below_the_narrowest_names_what_that_costs(options):
    one = problem(cost_model(SIZES), Constraint("average-bits", 1.5), layer_scores([1.0] * 4))
    with pytest.raises(InfeasibleBudgetError) as caught:
        search(one, **options)
    assert caught.value.nearest == pytest.approx(2)


@pytest.mark.parametrize(
    "options",
    [{"rule": "closed-form", "by": "weights"}, {"by": "weights", "order": "as-printed"}],
)
def test_options_that_do_not_go_together_are_refused(options):
    with pytest.raises(SpecError, match="sort"):
        registry.create("searches", "sort", options)


def test_a_budget_on_bitops_is_filled_too():
    scores = layer_scores([1.0, 2.0, 3.0, 4.0])
    one = problem(cost_model(SIZES), Constraint("bitops", 80 * 16.0), scores)
    (found,) = search(one)
    assert one.allows(found.policy)
    assert found.policy["d"] == 6
    assert all(not one.allows(p) for p in policies(one) if p["d"] == (8, 8))
