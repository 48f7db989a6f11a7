"""Tests of ``bitswitch.report.statistics.discordance``."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.report.statistics import discordant


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_one_network_of_each_side_is_counted_by_example(pairs):
    left, right = np.array(pairs).T
    assert discordant(left, right) == (pairs.count((True, False)), pairs.count((False, True)))


def test_an_example_counts_once_for_the_side_with_more_seeds():
    left = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 1]], dtype=bool)
    right = np.array([[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    assert discordant(left, right) == (1, 1)
