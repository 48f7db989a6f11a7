"""Tests of ``bitswitch.report.statistics.power``."""

from statistics import NormalDist

import pytest

from bitswitch.report.statistics import detectable, fewest_seeds, seeds_needed


def test_six_seeds_find_what_makes_all_of_them_agree():
    shift = NormalDist().inv_cdf(0.8 ** (1 / 6))
    assert detectable(6, 2.0) == pytest.approx(2 * shift, rel=0.02)
    assert detectable(5, 2.0) is None


@pytest.mark.parametrize(("size", "pairs"), [(0.2, 199), (0.3, 90), (0.5, 34), (0.8, 15)])
def test_many_seeds_are_those_of_cohens_tables(size, pairs):
    """As in Faul et al. (2007): a paired t-test, two-sided, level 0.05, power 0.8."""
    assert seeds_needed(size, 1.0) == pairs


def test_what_needs_so_many_seeds_is_what_they_detect():
    for tests in (1, 40):
        for size in (0.3, 0.9, 1.4, 2.0):
            needed = seeds_needed(size, 1.0, tests)
            assert detectable(needed, 1.0, tests) <= size
            if needed > fewest_seeds(tests):
                assert detectable(needed - 1, 1.0, tests) > size


def test_one_seed_more_for_twice_as_many_claims():
    assert [fewest_seeds(tests) for tests in (1, 2, 4, 8, 16)] == [6, 7, 8, 9, 10]


def test_no_size_and_hardly_any_are_never_found():
    assert seeds_needed(0.0, 0.0) is None
    assert seeds_needed(0.001, 1.0) is None
    assert seeds_needed(-3.0, 0.0) == 6
