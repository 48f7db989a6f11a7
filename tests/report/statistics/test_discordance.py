"""Tests of ``bitswitch.report.statistics.discordance``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.report.statistics import (
    clustered_mcnemar,
    discordant,
    mcnemar,
)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2))
def test_one_network_of_each_side_is_counted_by_example(pairs):
    left, right = np.array(pairs).T
    found = discordant((left, right))
    assert (found.left, found.right) == (pairs.count((True, False)), pairs.count((False, True)))


def test_an_example_counts_once_for_the_side_with_more_seeds():
    left = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 1]], dtype=bool)
    right = np.array([[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    assert discordant((left, right))[:2] == (1, 1)


def sides(networks, examples=60):
    """Return networks that get some examples right more often than others."""
    rng = np.random.default_rng(0)
    return rng.random((2, networks, examples)) < rng.random((2, 1, examples))


def test_what_seeds_share_is_the_covariance_of_each_two_of_them():
    left, right = sides(4)
    covariances = np.cov(100 * (left.astype(int) - right))
    shared = covariances[np.triu_indices(4, 1)].mean() / 60
    found = discordant((left, right)).shared ** 2
    assert found == pytest.approx(shared)
    assert found < covariances.mean() / 60


def test_the_whole_error_is_that_of_a_crossed_analysis_of_variance():
    # Mean squares of seeds and examples less that of their interaction: Winer (1971), 5.15.
    left, right = sides(5)
    leads = 100 * (left.astype(float) - right)
    seeds, examples = leads.mean(axis=1), leads.mean(axis=0)
    residuals = leads - seeds[:, None] - examples + leads.mean()
    interaction = (residuals**2).sum() / (4 * 59)
    squares = 60 * seeds.var(ddof=1) + 5 * examples.var(ddof=1) - interaction
    error = seeds.std(ddof=1) / 5**0.5, discordant((left, right)).shared
    assert np.hypot(*error) ** 2 == pytest.approx(squares / (5 * 60))


def test_seeds_that_share_nothing_add_no_error():
    left = np.array([[1, 0], [0, 1]], dtype=bool)
    assert discordant((left, ~left)).shared == 0.0


def test_one_network_errs_by_what_mcnemars_counts_say():
    left, right = np.array([[1, 0]] * 30 + [[0, 1]] * 10 + [[1, 1]] * 160, dtype=bool).T
    variance = ((30 + 10) / 200 - (20 / 200) ** 2) / 199
    found = discordant((left, right))
    assert found.shared == pytest.approx(100 * variance**0.5)
    assert found.p == pytest.approx(mcnemar(30, 10))


def test_test_sets_add_up_by_their_networks():
    first, second = sides(3), sides(1, examples=20)
    one, other = discordant(first), discordant(second)
    found = discordant(first, second)
    assert found.left == one.left + other.left
    assert found.right == one.right + other.right
    assert found.shared == pytest.approx(np.hypot(0.75 * one.shared, 0.25 * other.shared))
    leads = [(left.astype(int) - right).sum(axis=0) for left, right in (first, second)]
    assert found.p == pytest.approx(clustered_mcnemar(np.concatenate(leads).tolist()))
