"""Tests of ``bitswitch.report.statistics.significance``, on data that were published."""

from itertools import product
from math import comb
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t, ttest_1samp, ttest_ind_from_stats

from bitswitch.report.statistics import (
    clustered_mcnemar,
    equivalence,
    holm,
    mcnemar,
    sign_flip,
    student,
)

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Heights of crossed minus self-fertilized plants in eighths of an inch: Fisher (1935), III."""

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Additional hours of sleep by one drug minus those by another: Student (1908)."""

TRIAL = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]
"""Of the comparisons in a trial: Benjamini and Hochberg (1995), section 4.1."""


def test_sign_flips_of_darwins_plants_are_fishers():
    assert sign_flip(DARWIN) == pytest.approx(2 * 863 / 2**15)
    assert sign_flip([one / 8 for one in DARWIN]) == pytest.approx(2 * 863 / 2**15)


def test_sign_flips_of_students_sleepers_count_the_one_without_a_difference_twice():
    assert sign_flip(SLEEP) == pytest.approx(4 / 2**10)


def test_more_seeds_than_can_be_counted_are_drawn():
    values = [0.1 * (-1) ** at * at + 0.2 for at in range(18)]
    first = sign_flip(values)
    assert first == sign_flip(values)
    assert first == pytest.approx(ttest_1samp(values, 0).pvalue, abs=0.02)


def test_no_difference_is_not_significant():
    assert sign_flip([0.0] * 8) == 1.0


@given(st.lists(st.integers(-30, 30), min_size=6, max_size=8))
def test_sign_flip_counts_every_sign(differences):
    totals = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(total >= abs(sum(differences)) for total in totals) / len(totals)
    assert sign_flip(differences) == pytest.approx(expected)
    rounded = [(90.1 + value / 100) - 90.1 for value in differences]
    assert sign_flip(rounded) == pytest.approx(expected)


def test_students_test_is_that_of_the_sleepers():
    above, below = student(SLEEP)
    assert 2 * above == pytest.approx(0.002833, abs=1e-6)
    assert below == pytest.approx(1 - above)
    assert student(DARWIN)[0] == pytest.approx(float(t.sf(2.148, 14)), abs=1e-4)


def test_students_test_without_spread_is_certain():
    assert student([2.0, 2.0]) == (0.0, 1.0)
    assert student([2.0, 2.0], 2.0) == (1.0, 1.0)


@pytest.mark.parametrize("beyond", [0.0, 0.9, 2.5])
def test_students_test_of_both_sources_is_close_to_welchs(beyond):
    # The test set as a second sample, so large that its degrees of freedom do not matter.
    examples = 10**7
    welch = ttest_ind_from_stats(
        *(fmean(SLEEP), stdev(SLEEP), 10), *(beyond, 0.4 * examples**0.5, examples), equal_var=False
    )
    above, below = student(SLEEP, beyond, shared=0.4)
    assert welch.pvalue < 2 * min(above, below) < 2 * t.sf(abs(welch.statistic), 9)
    assert above + below == pytest.approx(1)


def test_students_test_without_spread_of_seeds_is_that_of_examples():
    assert student([1.0, 1.0], shared=0.5)[0] == pytest.approx(norm.sf(2))
    assert student([1.0, 1.0], shared=0.01)[0] < 1e-11


def test_mcnemars_test_is_that_of_the_prime_ministers_ratings():
    # Agresti (2013), table 11.1: z = 4.17, and so p = 0.00003.
    assert mcnemar(150, 86) == pytest.approx(0.00003, abs=1e-5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_test_is_a_sign_test(left, right):
    total, few = left + right, min(left, right)
    tail = sum(comb(total, count) for count in range(few + 1)) / 2**total
    assert mcnemar(left, right) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(left, right) == mcnemar(right, left)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9))
def test_mcnemars_test_of_several_networks_flips_examples(leads):
    assert clustered_mcnemar(leads) == pytest.approx(sign_flip(leads))


def test_mcnemars_test_of_several_networks_scales():
    leads = np.random.default_rng(0).integers(-11, 12, 10_000) + (np.arange(10_000) % 60 == 0)
    z = leads.sum() / (leads**2).sum() ** 0.5
    assert clustered_mcnemar(leads.tolist()) == pytest.approx(2 * norm.sf(abs(z)), rel=0.02)
    assert clustered_mcnemar([5] * 400) == pytest.approx(0.0, abs=1e-12)
    assert clustered_mcnemar([0, 0]) == 1.0


def test_holms_method_rejects_three_of_fifteen():
    adjusted = holm(TRIAL)
    assert sum(p <= 0.05 for p in adjusted) == 3
    assert adjusted[:4] == pytest.approx([0.0015, 0.0056, 0.0247, 0.1140])


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.999))
def test_holms_method_steps_down(ps, level):
    rejected, left = set(), list(range(len(ps)))
    while left and min(ps[at] for at in left) * len(left) <= level:
        first = min(left, key=ps.__getitem__)
        rejected.add(first)
        left.remove(first)
    assert {at for at, p in enumerate(holm(ps)) if p <= level} == rejected


def test_sleepers_are_equivalent_only_by_a_wide_margin():
    # The 90 % interval is 0.867 to 2.293.
    assert equivalence(SLEEP, 2.30) < 0.05 < equivalence(SLEEP, 2.28)
    assert equivalence(SLEEP, 0.8, side=-1) < 0.001
    assert equivalence(SLEEP, 0.8, side=1) > 0.9


@given(
    st.lists(st.integers(-100, 100), min_size=3, max_size=9).filter(lambda v: len(set(v)) > 1),
    st.floats(0.5, 200),
)
def test_equivalence_is_an_interval_within_the_margin(values, margin):
    found = ttest_1samp(values, 0).confidence_interval(0.9)
    inside = -margin < found.low and found.high < margin
    p = equivalence(values, margin)
    assert abs(p - 0.05) < 1e-9 or (p < 0.05) == inside
