"""A training run in an allocation, warned of the time limit as Slurm does it."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from bitswitch.results.files import read_json
from bitswitch.runtime import allocation
from tests.cluster.conftest import SUITE, Folder
from tests.conftest import TINY

TRAINING = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3}
NETWORK = SUITE["networks"]["resnet20"] | {
    "dataset": TINY,
    "bitsets": [[8, 4]],
    "float_training": TRAINING | {"epochs": 400},
    "training": TRAINING,
}


@pytest.fixture
def start(tmp_path, tiny_data):
    """Return what starts the float run in allocation 7, where ``scontrol`` notes what is asked."""
    folder = Folder(tmp_path / "project", SUITE | {"networks": {"resnet20": NETWORK}})
    (run,) = (name for name, spec in folder.suite.runs.items() if spec.is_float)
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path / "asked"}\n')
    scontrol.chmod(stat.S_IRWXU)
    own = {"SLURM_JOB_ID": "7", allocation.VARIABLE: "7", "OMP_NUM_THREADS": "1"}

    def start(processes):
        command = ["train", str(folder.suite_file), run, "--data", str(tiny_data), "--device=cpu"]
        started = subprocess.Popen(
            [sys.executable, "-m", "bitswitch", *command, "--processes", str(processes)],
            cwd=folder.path,
            env=os.environ | own | {"PATH": f"{scontrol.parent}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            # As what an allocation starts.
            preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        )
        return started, folder.path / "results" / "runs" / run

    return start


def step_of(run):
    return read_json(run / "progress.json")["step"] if (run / "progress.json").exists() else 0


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slurm)])
def test_it_saves_its_state_and_puts_its_job_back(start, tmp_path, processes):
    started, run = start(processes)
    while step_of(run) == 0:
        assert started.poll() is None, started.stdout.read()
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGUSR1)  # all of them, and the first one passes it on
    said, _ = started.communicate(timeout=60)
    assert started.returncode == 128 + signal.SIGUSR1, said
    assert "the state is saved" in said
    assert "Slurm starts job 7 again." in said
    assert (run / "checkpoint.pt").exists()
    assert (tmp_path / "asked").read_text() == "requeue 7\n"
