"""What a job knows of its allocation; Slurm itself is asked in ``tests/cluster``."""

import os
import signal
import subprocess

import pytest

from bitswitch.runtime import allocation
from bitswitch.runtime.devices import claimed_gpus
from bitswitch.runtime.gpus import VISIBLE


@pytest.fixture
def entered(monkeypatch):
    monkeypatch.setenv(allocation.SLURM_JOB, "7")
    monkeypatch.setenv(allocation.VARIABLE, "")
    before = signal.getsignal(signal.SIGUSR1)
    allocation.enter()
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("entered")
def test_what_an_allocation_starts_survives_its_warning():
    answer = subprocess.run(
        ["bash", "-c", "kill -USR1 $$; echo $BITSWITCH_ALLOCATION"], capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout) == (0, "7\n")


@pytest.mark.usefixtures("entered")
def test_an_allocation_is_that_of_its_job_alone(monkeypatch):
    assert allocation.is_own()
    monkeypatch.setenv(allocation.SLURM_JOB, "8")
    assert not allocation.is_own()
    monkeypatch.delenv(allocation.SLURM_JOB)
    monkeypatch.setenv(allocation.VARIABLE, "")
    assert not allocation.is_own()


def test_a_shell_in_an_allocation_of_ones_own_is_not_taken_for_a_job(monkeypatch):
    monkeypatch.setenv(allocation.SLURM_JOB, "7")
    monkeypatch.delenv(allocation.VARIABLE, raising=False)
    assert not allocation.is_own()


@pytest.mark.usefixtures("entered")
def test_gpus_of_an_allocation_are_taken_as_they_are_and_nothing_is_locked(monkeypatch, tmp_path):
    monkeypatch.setenv(VISIBLE, "0,1")
    for _ in range(2):  # another node may call its GPUs the same
        claim = claimed_gpus("auto", folder=tmp_path, count=2)
        assert claim.__enter__() == ["0", "1"]
        assert os.environ[VISIBLE] == "0,1"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("entered")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo "$@" > asked', "Slurm starts job 7 again."),
        ("echo no such job >&2; exit 1", "Slurm does not start it again (no such job)"),
        (None, "Slurm does not start it again ("),
    ],
)
def test_a_job_is_put_back_by_slurm(monkeypatch, tmp_path, script, said):
    monkeypatch.chdir(tmp_path)
    if script is not None:
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    assert allocation.requeue().startswith(said)
    if "asked" in (script or ""):
        assert (tmp_path / "asked").read_text() == "requeue 7\n"
