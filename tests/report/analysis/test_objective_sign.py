"""Tests of ``bitswitch.report.analysis.objective_sign``."""

import numpy as np
import pytest

from bitswitch.report.analysis import objective_sign

FOUND = [list(row) for row in objective_sign.choices()]


def test_no_published_number_is_lost():
    rows = objective_sign.sensitivities()
    assert len(rows) == 19
    assert rows.weights.sum() == 11157504
    assert rows.macs.sum() == 1695547392
    assert rows.mean_trace.sum() == pytest.approx(0.28153662)
    assert rows.error_8bit.sum() == pytest.approx(0.6604)
    assert rows.error_4bit.sum() == pytest.approx(211.0122)
    # Errors fall by nearly 4 per bit: (255 / 15) ** 2 for four of them.
    assert (rows.error_4bit / rows.error_8bit).between(286, 331).all()


def test_the_printed_objective_is_the_worst_and_the_sum_of_losses_the_best():
    printed, fixed, omega, *_, uniform = (float(row[2]) for row in FOUND)
    assert printed > fixed > uniform > omega
    assert [printed, fixed, omega, uniform] == [17.9, 5.71, 0.823, 1.31]
    assert [float(row[2]) for row in FOUND[3:5]] == [1.13, 0.249]


def test_equal_means_are_not_equal_costs():
    assert [row[3] for row in FOUND[:3]] == ["1.71", "1.47", "1.09"]
    assert [row[4] for row in FOUND[:3]] == ["4.00"] * 3
    assert [row[5] for row in FOUND[:3]] == ["7.18", "2.15", "3.73"]


def test_the_most_sensitive_layers_get_the_narrowest_bits_as_printed():
    assert FOUND[0][-1] == "2, 2, 2, 2, 2"
    assert FOUND[1][-1] == "8, 8, 8, 8, 8"


def test_the_sum_is_the_mean_and_the_covariance():
    trace = objective_sign.sensitivities().mean_trace.to_numpy()
    bits = np.random.default_rng(0).choice([8, 6, 4, 2], len(trace))
    parts = bits.mean() * trace.mean() + np.cov(trace, bits, bias=True)[0, 1]
    assert trace @ bits == pytest.approx(len(trace) * parts)
