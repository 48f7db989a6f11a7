"""Tests of ``bitswitch.report.statistics.agreement``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.report.statistics import agreement


@pytest.mark.parametrize(
    ("values", "found"),
    [([92.3, 92.4, 92.5], "match"), ([93.3, 93.4, 93.5], "higher"), ([91.0, 91.1, 91.2], "lower")],
)
def test_agreement_tolerates_the_noise_of_the_test_set(values, found):
    assert agreement(92.0, values, 0.53) == found


def test_seeds_that_are_too_noisy_give_no_verdict():
    assert agreement(92.0, [90.0, 95.0, 94.0], 0.02) == "inconclusive"
    assert agreement(92.0, [91.0, 92.0, 93.0], 0.53) == "inconclusive"
    assert agreement(50.0, [91.0, 92.0, 93.0], 0.98) == "higher"


def test_one_seed_gives_no_verdict():
    assert agreement(92.0, [92.0], 0.53) is None
    assert agreement(92.0, [10.0], 0.53) is None


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
        agreement(published, [published + shift + scale * (one - centre) for one in noise], margin)
        for scale in (1.0, factor)
    ]
    assert found[0] == "match" or found[1] != "match"
