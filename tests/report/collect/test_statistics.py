"""Tests of ``bitswitch.report.collect.statistics``."""

from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test, t

from bitswitch.report.collect import statistics


def test_interval_is_students():
    values = [92.1, 92.4, 91.8, 92.2]
    low, high = t.interval(0.95, 3, loc=0, scale=0.25 / 2)
    assert statistics.interval([0.0]) is None
    found = statistics.interval(values)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert (found.low + found.high) / 2 == pytest.approx(92.125)


@pytest.mark.parametrize(
    ("values", "found"),
    [([92.3, 92.4, 92.5], "match"), ([93.3, 93.4, 93.5], "higher"), ([91.0, 91.1, 91.2], "lower")],
)
def test_verdict_tolerates_the_noise_of_the_test_set(values, found):
    assert statistics.verdict(92.0, values, 0.53) == found


def test_seeds_that_are_too_noisy_give_no_verdict():
    assert statistics.verdict(92.0, [90.0, 95.0, 94.0], 0.02) == "inconclusive"
    assert statistics.verdict(92.0, [91.0, 92.0, 93.0], 0.53) == "inconclusive"
    assert statistics.verdict(50.0, [91.0, 92.0, 93.0], 0.98) == "higher"


def test_one_seed_gives_no_verdict():
    assert statistics.verdict(92.0, [92.0], 0.53) is None
    assert statistics.verdict(92.0, [10.0], 0.53) is None


@given(
    st.floats(80, 99),
    st.lists(st.floats(-1, 1), min_size=2, max_size=6),
    st.floats(-3, 3),
    st.floats(1, 50),
    st.floats(0.1, 1),
)
def test_more_noise_never_makes_a_match(published, noise, shift, factor, margin):
    centre = sum(noise) / len(noise)
    found = [
        statistics.verdict(
            published, [published + shift + scale * (one - centre) for one in noise], margin
        )
        for scale in (1.0, factor)
    ]
    assert found[0] == "match" or found[1] != "match"


def test_three_seeds_are_never_called_significant():
    effect = statistics.effect({0: 5.0, 1: 5.1, 2: 5.2}, {0: 1.0, 1: 1.1, 2: 1.2})
    assert effect.p is None
    assert effect.seeds == 3
    assert effect.mean == pytest.approx(4.0)
    assert effect.spread == pytest.approx(0.0, abs=1e-9)
    assert effect.finding.startswith("not testable")


def test_six_seeds_are_tested():
    ours = {seed: 5.0 + seed / 10 for seed in range(6)}
    effect = statistics.effect(ours, {seed: 1.0 for seed in range(6)})
    assert effect.p == pytest.approx(2 / 2**6)
    assert effect.spread == pytest.approx(stdev(ours.values()))
    assert effect.interval.low < effect.mean < effect.interval.high
    assert effect.finding == "significant (p = 0.031)"
    again = statistics.effect({s: (-1.0) ** s for s in range(6)}, {s: 0.0 for s in range(6)})
    assert again.finding.startswith("not significant")


def test_only_shared_seeds_are_paired():
    assert statistics.effect({0: 1.0}, {1: 1.0}) is None
    assert statistics.effect({0: 2.0, 1: 9.0}, {0: 1.5}).mean == 0.5


@given(st.lists(st.integers(-30, 30), min_size=6, max_size=8))
def test_sign_flip_is_scipys(differences):
    expected = permutation_test(
        (differences,), sum, permutation_type="samples", n_resamples=10_000, vectorized=False
    ).pvalue
    assert statistics.sign_flip(differences) == pytest.approx(expected)
