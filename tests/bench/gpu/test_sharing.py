"""Processes that take steps at once, one of them on the processor."""

from multiprocessing import Pipe

import pytest

from bitswitch.bench.gpu import sharing
from bitswitch.bench.gpu.kernels import CPU
from bitswitch.bench.gpu.setting import LeftOut, Setting


def test_a_process_takes_steps_when_it_is_told_to(monkeypatch):
    monkeypatch.setattr(sharing, "TRIAL", (1,))
    (found,) = sharing.measure(Setting.lasting(CPU, 300))
    assert (found.name, found.unit) == ("1 at once, in all", "steps/s")
    assert found.value > 0


def test_what_there_is_no_time_for_is_named(monkeypatch):
    class Ready:
        def answer(self, patience):
            return 0.0

        process = type("Process", (), {"kill": lambda self: None, "join": lambda self: None})()

    monkeypatch.setattr(sharing, "_started", lambda device: Ready())
    found = list(sharing.measure(Setting(CPU, deadline=0.0)))
    assert found[0] == LeftOut(text="1 runs at once: no time left")


def test_a_process_that_fails_says_why():
    here, there = Pipe()
    worker = sharing.Worker(None, here)
    there.send("OutOfMemoryError: too much")
    with pytest.raises(RuntimeError, match="OutOfMemoryError: too much"):
        worker.answer(1.0)
    with pytest.raises(RuntimeError, match="no answer in 0 s"):
        worker.answer(0.0)
