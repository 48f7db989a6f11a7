"""Tests of ``bitswitch.report.statistics.paired``."""

from statistics import stdev

import pytest

from bitswitch.report.statistics import paired


def test_three_seeds_are_never_called_significant():
    difference = paired({0: 5.0, 1: 5.1, 2: 5.2}, {0: 1.0, 1: 1.1, 2: 1.2})
    assert difference.p is None
    assert difference.seeds == 3
    assert difference.mean == pytest.approx(4.0)
    assert difference.spread == pytest.approx(0.0, abs=1e-9)
    assert difference.finding.startswith("not testable")


def test_six_seeds_are_tested():
    ours = {seed: 5.0 + seed / 10 for seed in range(6)}
    difference = paired(ours, {seed: 1.0 for seed in range(6)})
    assert difference.p == pytest.approx(2 / 2**6)
    assert difference.spread == pytest.approx(stdev(ours.values()))
    assert difference.interval.low < difference.mean < difference.interval.high
    assert difference.finding == "significant (p = 0.031)"
    again = paired({s: (-1.0) ** s for s in range(6)}, {s: 0.0 for s in range(6)})
    assert again.finding.startswith("not significant")


def test_only_shared_seeds_are_paired():
    assert paired({0: 1.0}, {1: 1.0}) is None
    assert paired({0: 2.0, 1: 9.0}, {0: 1.5}).mean == 0.5
