"""Tests of what claims are said to take."""

import pytest

from tests.planning import claim_costs

RENEW = "write them anew: python -m tests.planning.claim_costs"


@pytest.mark.slow
def test_hours_are_those_of_the_small_suite_as_it_is():
    assert claim_costs.PATH.read_text().startswith(claim_costs.text(["cifar10"])), RENEW


@pytest.mark.long
def test_hours_are_those_of_all_suites_as_they_are():
    assert claim_costs.PATH.read_text() == claim_costs.text(), RENEW
