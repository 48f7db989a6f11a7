"""Tests of ``bitswitch.searches.closed_form``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from bitswitch.searches.closed_form import bounded_bits, unbounded_bits

AMPLITUDES = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=5)


@given(AMPLITUDES, st.floats(2, 8))
def test_for_average_bits_it_is_the_published_formula(amplitudes, mean):
    logs = np.log2(amplitudes)
    bits = unbounded_bits(np.array(amplitudes), np.ones(len(logs)), mean * len(logs))
    np.testing.assert_allclose(bits, mean + (logs - logs.mean()) / 2)


@given(AMPLITUDES, st.floats(2, 8))
def test_for_weighted_average_bits_it_is_the_published_formula(amplitudes, mean):
    weights = np.arange(1.0, len(amplitudes) + 1) ** 3
    logs, shares = np.log2(np.array(amplitudes) / weights), weights / weights.sum()
    bits = unbounded_bits(np.array(amplitudes), weights, mean * weights.sum())
    np.testing.assert_allclose(bits, mean + (logs - shares @ logs) / 2)


@settings(max_examples=20, deadline=None)
@given(AMPLITUDES, st.floats(2, 8), st.integers(0, 99))
def test_bounded_bits_are_the_optimum_of_a_numerical_solver(amplitudes, mean, seed):
    scales = np.array(amplitudes)
    costs = np.random.default_rng(seed).uniform(0.5, 2, len(scales))
    bits = bounded_bits(scales, costs, mean * costs.sum(), 2, 8)

    def loss(x):
        return float(scales @ 4.0**-x) / scales.max()

    found = minimize(
        loss,
        np.full(len(scales), mean),
        jac=lambda x: -np.log(4) * scales * 4.0**-x / scales.max(),
        bounds=[(2, 8)] * len(scales),
        constraints={"type": "eq", "fun": lambda x: costs @ x - mean * costs.sum()},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert costs @ bits == pytest.approx(mean * costs.sum())
    assert bits.min() >= 2
    assert bits.max() <= 8
    assert loss(bits) <= loss(found.x) * (1 + 1e-6) + 1e-12


def test_where_no_bound_binds_both_forms_agree():
    scales, costs = np.array([1.0, 3.0, 7.0]), np.array([2.0, 1.0, 4.0])
    budget = 5 * costs.sum()
    np.testing.assert_allclose(
        bounded_bits(scales, costs, budget, 2, 8), unbounded_bits(scales, costs, budget)
    )


def test_a_layer_without_amplitude_comes_last():
    scales, costs = np.array([-1.0, 100.0, 0.0, 1.0]), np.ones(4)
    for budget in (8, 16, 20):
        bits = bounded_bits(scales, costs, budget, 2, 8)
        assert bits[[0, 2]].tolist() == [2, 2]
        assert bits.sum() == pytest.approx(budget)
    assert bounded_bits(scales, costs, 26, 2, 8) == pytest.approx([5, 8, 5, 8])
    assert bounded_bits(np.zeros(4), costs, 12, 2, 8) == pytest.approx([3, 3, 3, 3])


def test_a_budget_beyond_the_widest_gives_the_widest():
    assert bounded_bits(np.ones(2), np.ones(2), 99, 2, 8).tolist() == [8, 8]
