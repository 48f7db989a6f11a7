"""Tests of ``bitswitch.searches.exact.exact``."""

import pytest

from bitswitch.errors import SpecError
from bitswitch.plugins import registry


@pytest.mark.parametrize("name", ["hawq-v2", "ilp", "limpq"])
def test_exact_searches_read_scores_and_draw_nothing(name):
    search = registry.create("searches", name, {"time_limit_s": 2.0})
    assert (search.scored, search.evaluates, search.stochastic) == (True, False, False)
    assert registry.create("searches", name, {"candidates": 2}).evaluates


@pytest.mark.parametrize("option", ["candidates", "time_limit_s"])
def test_options_are_positive(option):
    with pytest.raises(SpecError, match=option):
        registry.create("searches", "ilp", {option: 0})
