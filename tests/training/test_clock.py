import time

import pytest
import torch

from bitswitch.training.clock import Clock, Instant

CPU = torch.device("cpu")


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_time_counts_for_the_phase_it_is_spent_in():
    clock = Clock(CPU, Instant.now())
    with clock.phase("train"):
        spin(0.05)
        with clock.phase("other"):
            spin(0.02)
    with clock.phase("evaluate"):
        spin(0.03)
    spent = clock.read()
    assert spent["train"] == pytest.approx(0.05, abs=0.01)
    assert spent["evaluate"] == pytest.approx(0.03, abs=0.01)
    assert spent["other"] == pytest.approx(0.02, abs=0.01)
    assert spent["wall"] >= 0.1


def test_processor_time_leaves_out_waiting():
    clock = Clock(CPU, Instant.now())
    with clock.phase("train"):
        time.sleep(0.05)
    spent = clock.read()
    assert clock.kind == "cpu"
    assert spent["train"] < 0.02
    assert spent["wall"] >= 0.05


def test_a_gpu_run_is_timed_by_the_wall():
    clock = Clock(torch.device("cuda"), Instant.now())
    with clock.phase("train"):
        time.sleep(0.05)
    assert clock.kind == "wall"
    assert clock.read()["train"] >= 0.05


def test_peak_memory_is_that_of_the_gpu_of_the_run(monkeypatch):
    """Not of the one that torch takes where none is named, which is the first."""
    peaks = {torch.device("cuda:1"): 3 * 2**20}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: peaks[device])
    assert Clock(torch.device("cuda:1"), Instant.now()).peak_memory_mib() == 3


def test_time_before_the_clock_counts_from_the_beginning():
    began = Instant.now()
    spin(0.03)
    assert Clock(CPU, began).read()["other"] >= 0.03


def test_times_and_peak_go_on_after_an_interruption():
    first = Clock(CPU, Instant.now())
    with first.phase("train"):
        spin(0.03)
    state = first.state_dict()
    second = Clock(CPU, Instant.now())
    second.load_state_dict({**state, "peak_mib": 1e6})
    assert second.read()["train"] == state["train"]
    assert second.peak_memory_mib() == 1e6


def test_an_error_ends_its_phase():
    clock = Clock(CPU, Instant.now())
    with pytest.raises(ValueError, match="x"), clock.phase("train"):
        raise ValueError("x")
    train = clock.read()["train"]
    spin(0.02)
    assert clock.read()["train"] == train
