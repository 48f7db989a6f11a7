"""Tests of ``bitswitch.bench.ilp``."""

import pytest

from bitswitch.bench import BENCHMARKS, ilp


def test_every_kind_of_program_is_a_figure(monkeypatch):
    monkeypatch.setattr(ilp, "_times", lambda choices, count: [0.1 * count, len(choices) / 100])
    measured = BENCHMARKS["ilp"]()
    assert measured.figures == {"seconds": 0.25, "tied_seconds": 0.1, "several_seconds": 1.0}
    assert measured.rows[0] == ("25", "1", "0.175 s", "0.250 s", "1 s")


def test_a_program_of_full_size_keeps_its_limit(monkeypatch):
    monkeypatch.setattr(ilp, "SEEDS", 1)
    monkeypatch.setattr(ilp, "BUDGETS", (3.0,))
    (seconds,) = ilp._times([(w, a) for w in ilp.BITSET for a in ilp.BITSET], count=1)
    assert 0 < seconds < 5 * ilp.LIMIT_S  # other tests may run beside this one


def test_networks_are_the_same_every_time():
    (costs, loss), (again, other) = ilp.network(1), ilp.network(1)
    assert costs == again
    assert loss("layer0", 4, 2) == other("layer0", 4, 2)
    assert loss("layer0", 4, 2) != ilp.network(2)[1]("layer0", 4, 2)
    assert len(costs.layers) == 53
    ratio = loss("layer7", 3, 3) / loss("layer7", 4, 4)
    assert ratio == pytest.approx(4, rel=0.6)
