"""Tests of ``bitswitch.report.statistics.intervals``."""

from math import hypot
from statistics import NormalDist, fmean

import numpy as np
import pytest
from scipy.stats import t

from bitswitch.report.statistics import bca, interval, student
from tests.report.statistics.test_significance import SLEEP


def test_interval_is_students():
    values = [92.1, 92.4, 91.8, 92.2]
    low, high = t.interval(0.95, 3, loc=0, scale=0.25 / 2)
    assert interval([0.0]) is None
    found = interval(values)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert (found.low + found.high) / 2 == pytest.approx(92.125)


def test_interval_of_the_sleepers_is_students():
    assert interval(SLEEP) == pytest.approx((0.7001142, 2.4598858))


def test_an_interval_of_both_sources_ends_where_students_test_is_significant():
    low, high = interval(SLEEP, shared=0.4)
    assert student(SLEEP, low, shared=0.4)[0] == pytest.approx(0.025)
    assert student(SLEEP, high, shared=0.4)[1] == pytest.approx(0.025)
    assert (high - low) / 2 == pytest.approx(hypot((2.4598858 - 0.7001142) / 2, 1.959964 * 0.4))


def by_hand(values):
    """Return Efron's (1987) interval, one step after the other."""
    normal, count, mean = NormalDist(), len(values), fmean(values)
    drawn = np.random.default_rng(7).choice(values, size=(200_000, count)).mean(axis=1)
    bias = normal.inv_cdf(float(((drawn < mean).mean() + (drawn <= mean).mean()) / 2))
    left_out = [(sum(values) - one) / (count - 1) for one in values]
    pulls = [fmean(left_out) - one for one in left_out]
    acceleration = sum(p**3 for p in pulls) / (6 * sum(p**2 for p in pulls) ** 1.5)
    for share in (0.025, 0.975):
        z = bias + normal.inv_cdf(share)
        yield float(np.quantile(drawn, normal.cdf(bias + z / (1 - acceleration * z))))


@pytest.mark.parametrize("values", [SLEEP, [0.1, 0.4, 0.2, 0.9, 0.3, 0.2]])
def test_bca_corrects_for_bias_and_acceleration(values):
    assert bca(values) == pytest.approx(tuple(by_hand(values)), abs=0.03)
    assert bca(values) == bca(values)


def test_bca_needs_six_seeds_and_survives_equal_ones():
    assert bca(SLEEP[:5]) is None
    assert bca([0.5] * 6) == (0.5, 0.5)
