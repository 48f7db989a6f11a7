"""Tests of ``bitswitch.report.statistics.discordance``."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem

from bitswitch.report.statistics import discordant


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_one_network_of_each_side_is_counted_by_example(pairs):
    left, right = np.array(pairs).T
    found = discordant(left, right)
    assert (found.left, found.right) == (pairs.count((True, False)), pairs.count((False, True)))


def test_an_example_counts_once_for_the_side_with_more_seeds():
    left = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 1]], dtype=bool)
    right = np.array([[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    assert discordant(left, right)[:2] == (1, 1)


@pytest.mark.parametrize("networks", [1, 3])
def test_the_error_is_that_of_the_mean_over_examples(networks):
    left, right = np.random.default_rng(0).random((2, networks, 50)) < [[[0.8]], [[0.6]]]
    leads = 100 * (left.mean(axis=0) - right.mean(axis=0))
    assert discordant(left, right).error == pytest.approx(sem(leads))


def test_one_network_errs_by_what_mcnemars_counts_say():
    left, right = np.array([[1, 0]] * 30 + [[0, 1]] * 10 + [[1, 1]] * 160, dtype=bool).T
    variance = ((30 + 10) / 200 - (20 / 200) ** 2) / 199
    assert discordant(left, right).error == pytest.approx(100 * variance**0.5)


def test_one_example_says_nothing_of_others():
    assert discordant(np.array([True]), np.array([False])) == (1, 0, inf)
