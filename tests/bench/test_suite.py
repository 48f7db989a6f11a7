import pytest

from bitswitch.bench import suite


@pytest.fixture
def commands(monkeypatch):
    """Commands that are timed; none is run."""
    seen = []
    times = iter([0.5, 2.0, 8.0])
    monkeypatch.setattr(suite, "_seconds", lambda command: seen.append(command) or next(times))
    return seen


def test_start_expansion_and_dry_run_are_timed(commands):
    measured = suite.measure(seeds=2)
    assert measured.figures["expansion_s"] == 1.5
    assert measured.figures["dry_run_s"] == 8.0
    assert [len(command) for command in commands[:2]] == [4, 4]
    assert {"--dry-run", "all"} <= set(commands[2])


def test_runs_grow_with_seeds(commands):
    assert suite.many(3)["seeds"] == [0, 1, 2]
    runs = suite.measure(seeds=2).figures["runs"]
    assert runs > 200
    assert runs % 2 == 0
