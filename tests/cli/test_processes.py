"""``bitswitch train --processes``: started, stopped, killed, gone on with."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bitswitch.results.files import read_json
from bitswitch.runtime import launch
from bitswitch.suite.suite import load_suite
from tests.conftest import TINY

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
EPOCHS = 30
TRAINING = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 1e-3}
SUITE = {
    "name": "ranks",
    "title": "one small network",
    "data": "embedded",
    "seeds": [0],
    "networks": {
        "resnet20": {
            "title": "ResNet-20",
            "published": "resnet20",
            "model": "resnet8",
            "dataset": TINY,
            "bitsets": [[8, 4]],
            "float_training": TRAINING,
            "training": {**TRAINING, "epochs": 1},
        }
    },
    "experiments": {"alrs": {"networks": ["resnet20"]}},
}


@pytest.fixture(scope="module")
def command(tmp_path_factory, tiny_data):
    """Return the command that trains the float network, and the folder of its run."""
    folder = tmp_path_factory.mktemp("project")
    path = folder / "config/suites/ranks.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(SUITE))
    (folder / "config/experiments.yaml").symlink_to(TOP / "config/experiments.yaml")
    run = next(name for name, spec in load_suite(path).runs.items() if spec.is_float)
    return folder, ["train", str(path), run, "--data", str(tiny_data), "--device", "cpu"], run


def start(command, results, processes):
    folder, arguments, _run = command
    options = ["--results", str(results), "--processes", str(processes)]
    return subprocess.Popen(
        [sys.executable, "-m", "bitswitch", *arguments, *options],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_epochs(started, count):
    """Return what was said up to so many epochs, but not to the end."""
    said = ""
    while f"epoch {count}/{EPOCHS}" not in said:
        line = started.stdout.readline()
        assert line, said
        said += line
    return said


def ranks_of(started):
    """Return the processes that work on the run, by rank."""
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    found = {}
    for child in map(int, children):
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks = [one[5:] for one in environment if one.startswith(b"RANK=")]
        found |= {int(rank): child for rank in ranks}
    return found


def metrics(command, results):
    return (results / "runs" / command[2] / "metrics.jsonl").read_bytes()


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """Return what a run finds that two processes share, and nobody interrupts."""
    results = tmp_path_factory.mktemp("whole")
    started = start(command, results, 2)
    said, _ = started.communicate()
    assert started.returncode == 0, said
    found = read_json(results / "runs" / command[2] / "provenance.json")
    assert found["processes"] == 2
    return metrics(command, results)


def test_processes_stop_together_and_go_on_as_if_they_had_not(command, whole, tmp_path):
    started = start(command, tmp_path, 2)
    wait_for_epochs(started, 2)
    started.send_signal(signal.SIGTERM)
    said, _ = started.communicate()
    assert started.returncode == 128 + signal.SIGTERM
    assert said.count("Stopped") == 1
    started = start(command, tmp_path, 2)
    said, _ = started.communicate()
    assert started.returncode == 0
    assert int(re.search(r"step (\d+) of", said)[1]) > 0
    assert metrics(command, tmp_path) == whole


def test_one_that_is_killed_stops_the_others_and_one_process_goes_on(command, whole, tmp_path):
    started = start(command, tmp_path, 2)
    wait_for_epochs(started, 2)
    os.kill(ranks_of(started)[1], signal.SIGKILL)
    said, _ = started.communicate()
    assert started.returncode in (18, 128 + signal.SIGKILL)
    assert "Another process of this run has ended" in said or "ended by SIGKILL" in said
    started = start(command, tmp_path, 1)
    said, _ = started.communicate()
    assert started.returncode == 0
    assert int(re.search(r"step (\d+) of", said)[1]) >= 2 * 3
    lines = metrics(command, tmp_path).splitlines()
    assert len(lines) == len(whole.splitlines())


def test_the_first_failure_is_the_one_that_counts(monkeypatch):
    monkeypatch.setattr(launch, "POLL_S", 0.01)
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    fail = [sys.executable, "-c", "raise SystemExit(4)"]
    began = time.monotonic()
    started = [subprocess.Popen(one) for one in (wait, fail)]
    assert launch._first_failure(started) == 1
    assert time.monotonic() - began < launch.GRACE_S
    assert [one.returncode for one in started] == [-signal.SIGTERM, 4]
    assert launch._exit_code(-9) == 137
