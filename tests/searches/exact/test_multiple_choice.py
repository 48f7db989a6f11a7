"""Tests of ``bitswitch.searches.exact.multiple_choice``."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.errors import SpecError
from bitswitch.searches.exact import multiple_choice
from bitswitch.searches.exact.multiple_choice import Bound, best_picks, total

NUMBERS = st.integers(0, 40) | st.floats(0, 1, width=32)


@st.composite
def tables(draw):
    """Return values and costs of two to four groups of one to four items."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    columns = [draw(st.lists(NUMBERS, min_size=n, max_size=n)) for n in sizes * 2]
    groups = [np.array(column, dtype=float) for column in columns]
    return groups[: len(sizes)], groups[len(sizes) :]


def feasible(values, bounds):
    """Return all picks within the bounds, by exhaustion, least value first."""
    picks = product(*(range(len(group)) for group in values))
    return sorted(total(values, p) for p in picks if all(bound.holds(p) for bound in bounds))


@settings(max_examples=60, deadline=None)
@given(tables(), st.floats(0, 1), st.integers(1, 4), st.booleans())
def test_the_best_picks_are_those_of_exhaustion(groups, share, count, both_sides):
    values, costs = groups
    least, most = (sum(pick(group) for group in costs) for pick in (np.min, np.max))
    upper = least + share * (most - least)
    bounds = [Bound(costs, upper, lower=upper / 2 if both_sides else -np.inf)]
    expected = feasible(values, bounds)[:count]
    picks = best_picks(values, bounds, count)
    assert len(set(picks)) == len(picks)
    assert all(bounds[0].holds(pick) for pick in picks)
    found = [total(values, pick) for pick in picks]
    np.testing.assert_allclose(found, expected, atol=1e-9 * (1 + sum(map(np.max, values))))


def test_several_bounds_hold_together():
    values = [np.array([0.0, 1.0, 5.0])] * 2
    first, second = [np.array([9.0, 1.0, 1.0])] * 2, [np.array([1.0, 9.0, 1.0])] * 2
    assert best_picks(values, [Bound(first, 10.0), Bound(second, 10.0)])[0] in {(0, 1), (1, 0)}
    assert best_picks(values, [Bound(first, 2.0), Bound(second, 2.0)]) == [(2, 2)]


def test_what_is_out_of_bounds_by_less_than_the_solver_notices_is_left_out():
    values, costs = [np.array([0.0, 1.0])], [np.array([1.0 + 1e-12, 0.5])]
    assert best_picks(values, [Bound(costs, 1.0)]) == [(1,)]


def test_there_may_be_fewer_picks_than_asked_for_or_none():
    values = [np.array([1.0, 2.0])]
    assert best_picks(values, [], count=5) == [(0,), (1,)]
    assert best_picks(values, [Bound(values, 0.5)]) == []


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_the_unit_of_values_and_costs_does_not_matter(scale):
    draw = np.random.default_rng(0)
    values, costs = ([draw.random(4) * scale for _ in range(6)] for _ in range(2))
    bound = Bound(costs, 3.0 * scale)
    found = total(values, best_picks(values, [bound])[0])
    assert found == pytest.approx(feasible(values, [bound])[0], rel=1e-12)


def answers(monkeypatch, **fields):
    monkeypatch.setattr(multiple_choice, "milp", lambda *_, **__: SimpleNamespace(**fields))


def test_a_pick_that_is_not_proven_best_comes_with_a_warning(monkeypatch, caplog):
    answers(monkeypatch, status=1, x=np.array([0.0, 1.0]), mip_gap=0.02)
    assert best_picks([np.array([1.0, 2.0])], [], time_limit_s=0.5) == [(1,)]
    assert "stopped after 0.5 s: the policy may be worse than the best by 2 %" in caplog.text


def test_a_time_limit_that_is_over_too_soon_is_an_error(monkeypatch):
    answers(monkeypatch, status=1, x=None)
    with pytest.raises(SpecError, match=r"no policy in 0\.5 s"):
        best_picks([np.array([1.0, 2.0])], [], time_limit_s=0.5)


def test_a_failure_of_the_solver_is_not_hidden(monkeypatch):
    answers(monkeypatch, status=4, x=None, message="numerical difficulties")
    with pytest.raises(RuntimeError, match="numerical difficulties"):
        best_picks([np.array([1.0, 2.0])], [])


def test_a_time_limit_reaches_the_solver(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        multiple_choice,
        "milp",
        lambda *_, options, **__: seen.update(options) or SimpleNamespace(status=2),
    )
    assert best_picks([np.array([1.0])], [], time_limit_s=2.5) == []
    assert seen == {"mip_rel_gap": 0.0, "time_limit": 2.5}
