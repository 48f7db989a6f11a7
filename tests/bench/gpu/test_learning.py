"""Short runs on the processor, interrupted and resumed."""

import pytest

from bitswitch.bench.gpu import learning
from bitswitch.bench.gpu.kernels import CPU
from bitswitch.bench.gpu.setting import LeftOut, Setting
from bitswitch.results.device_bench import Check


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


@pytest.fixture(scope="module")
def found(folder):
    with learning.deterministic():
        return list(learning.checked("double-rounding", CPU, folder))


def test_a_resumed_run_is_the_same_to_the_last_bit(found):
    assert [one.name for one in found if isinstance(one, Check)] == [
        "double-rounding, trained",
        "double-rounding, interrupted",
        "double-rounding, the same again",
    ]
    assert not any(one.problem for one in found if isinstance(one, Check))


def test_a_difference_is_found(found, folder):
    run = learning.accepted("double-rounding")
    path = folder / "parted" / "runs" / run.run_id / "train.jsonl"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"1", b"2", 1))
    try:
        problem = learning.difference(run, folder / "whole" / "runs", folder / "parted" / "runs")
    finally:
        path.write_bytes(before)
    assert problem == "train.jsonl of the interrupted run is another"


def test_every_method_has_a_run_or_a_reason():
    installed = {*learning.FIRST, "ptmq", "gptq", "mbquant"}
    for name in installed:
        run = learning.accepted(name)
        assert run is None or run.method.name == name
    assert learning.accepted("hasb").sensitivity is not None


def test_what_there_is_no_time_for_is_named():
    over = list(learning.measure(Setting(CPU, deadline=0.0)))
    assert over[0] == LeftOut(text="float32: no time left")
    assert all(isinstance(one, LeftOut) for one in over)
