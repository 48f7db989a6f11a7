"""Compiled steps beside eager ones: what is compared, with steps that are made up."""

import pytest

from bitswitch.bench.gpu import compiled
from bitswitch.bench.gpu.kernels import CPU
from bitswitch.bench.gpu.setting import Setting
from bitswitch.results.device_bench import Check
from bitswitch.training.step import PassResult


@pytest.fixture
def losses(monkeypatch):
    """Let compiled steps be off by a factor."""
    off = [1.0]

    def step(run, device):
        loss = 2.0 * off[0] if run.training.compile else 2.0
        return lambda: [PassResult(8, loss, 0.0, None, 0.0)]

    monkeypatch.setattr(compiled, "synthetic_step", step)
    return off


def checks(setting):
    return [one for one in compiled.compared("lsq", setting) if isinstance(one, Check)]


def test_losses_may_differ_by_rounding_alone(losses):
    setting = Setting.lasting(CPU, 60)
    losses[0] = 1 + 5e-4
    assert not any(one.problem for one in checks(setting))
    losses[0] = 1 + 5e-3  # steps may carry rounding that far, the first may not
    problems = [one.problem for one in checks(setting)]
    assert "more than 0.001" in problems[0]
    assert problems[1:] == [None] * (compiled.STEPS - 1)


def test_an_error_is_a_finding(monkeypatch):
    def fail(run, device):
        raise RuntimeError("no triton")

    monkeypatch.setattr(compiled, "synthetic_step", fail)
    (found,) = checks(Setting.lasting(CPU, 60))
    assert (found.name, found.problem) == ("lsq", "RuntimeError: no triton")


def test_its_methods_are_there():
    for method in compiled.METHODS:
        assert compiled.small_step(method, compiled=True).training.compile
