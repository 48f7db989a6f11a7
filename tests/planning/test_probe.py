import pytest

from bitswitch.planning.probe import synthetic_step


@pytest.mark.parametrize("bitset", [(8, 4, 2), (32,)])
def test_a_step_runs_without_data(tiny_run, bitset):
    outcomes = synthetic_step(tiny_run(bitset=bitset), "cpu")()
    assert [outcome.bits for outcome in outcomes] == list(bitset)
