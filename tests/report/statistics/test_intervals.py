"""Tests of ``bitswitch.report.statistics.intervals``."""

import pytest
from scipy.stats import t

from bitswitch.report import statistics


def test_interval_is_students():
    values = [92.1, 92.4, 91.8, 92.2]
    low, high = t.interval(0.95, 3, loc=0, scale=0.25 / 2)
    assert statistics.interval([0.0]) is None
    found = statistics.interval(values)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert (found.low + found.high) / 2 == pytest.approx(92.125)
