"""Stages as other processes see them: signals, exit codes, what is left on disk."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from bitswitch import stages
from bitswitch.errors import DeviceError, PluginError, RunDirectoryError
from bitswitch.planning import probe
from bitswitch.plugins.resolve import resolved
from bitswitch.results.files import read_json, read_lines
from bitswitch.spec.run import RunSpec
from bitswitch.training import checkpoint
from bitswitch.training.trained import load_trained

DETERMINISTIC = ("metrics.jsonl", "train.jsonl", "steps.jsonl")

PROGRAM = """
import sys
from pathlib import Path
from bitswitch import stages
from bitswitch.errors import BitswitchError
from bitswitch.plugins.resolve import read_run
spec, results, data, interval = sys.argv[1:]
try:
    stages.train(read_run(Path(spec)), Path(results), Path(data), "cpu",
                 save_interval_s=float(interval))
except BitswitchError as error:
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(error.exit_code)
"""


@pytest.fixture
def start(tmp_path, tiny_data):
    """Return a function that trains a run in another process."""
    processes = []

    def start(run, results, interval=0.0):
        spec = tmp_path / "spec.yaml"
        spec.write_text(yaml.safe_dump(run.model_dump(mode="json")))
        arguments = [str(spec), str(results), str(tiny_data), str(interval)]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def content(folder):
    return {name: (folder / name).read_bytes() for name in DETERMINISTIC}


def wait_for_lines(path, count, process):
    """Wait until a process has written ``count`` lines."""
    end = time.monotonic() + 120
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_finished_run_is_left_alone(tmp_path, tiny_data, tiny_run):
    run = tiny_run(bitset=(32,), epochs=1)
    folder = stages.train(run, tmp_path, tiny_data, "cpu")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert stages.train(run, tmp_path, tiny_data, "cpu") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_missing_gpu_costs_nothing(tmp_path, tiny_data, tiny_run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="--device cpu"):
        stages.train(tiny_run(), tmp_path, tiny_data, "cuda")
    assert list(tmp_path.iterdir()) == []


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path, tiny_data, tiny_run):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        stages.train(tiny_run(), tmp_path / "file", tiny_data, "cpu")


def test_a_step_is_measured_without_data(tiny_run):
    assert 0 < probe.measure_step(tiny_run(), "cpu") < 10


@pytest.mark.parametrize(("seconds", "steps"), [(0.25, 4), (2.0, 1)])
def test_a_long_step_is_measured_once(tiny_run, monkeypatch, seconds, steps):
    times = iter(seconds * count for count in range(100))
    monkeypatch.setattr(probe, "perf_counter", lambda: next(times))
    monkeypatch.setattr(probe, "synthetic_step", lambda run, device: lambda: taken.append(run))
    taken = []
    assert probe.measure_step(tiny_run(), "cpu") == seconds
    assert len(taken) == steps


def test_preparing_a_broken_dataset_names_it(tmp_path, tiny_run, monkeypatch):
    def fail(*_):
        raise ValueError("no pixels")

    monkeypatch.setattr("bitswitch.data.digits.Digits.prepare", fail)
    with pytest.raises(PluginError, match=r"prepare\(\) of dataset 'digits' fails: ValueError"):
        stages.prepare(tiny_run().dataset, tmp_path)


@pytest.mark.slow
def test_a_killed_run_ends_with_identical_numbers(tmp_path, tiny_data, tiny_run, start):
    run = tiny_run(epochs=4)
    expected = content(stages.train(run, tmp_path / "at-once", tiny_data, "cpu"))
    results = tmp_path / "killed"
    for lines in (2, 5, 9):
        process = start(run, results)
        wait_for_lines(results / "runs" / run.run_id / "steps.jsonl", lines, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert start(run, results).wait() == 0
    assert content(results / "runs" / run.run_id) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_gives_its_exit_code(tmp_path, tiny_data, tiny_run, start, number):
    run = tiny_run(epochs=300)
    process = start(run, tmp_path, interval=1000.0)
    folder = tmp_path / "runs" / run.run_id
    wait_for_lines(folder / "steps.jsonl", 2, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"error: Stopped by {number.name}; the state is saved" in errors
    state = checkpoint.load(folder / checkpoint.NAME, run.run_id)
    assert state["progress"]["step"] == len(read_lines(folder / "steps.jsonl")) > 0
    assert not (folder / "result.json").exists()


def test_two_processes_do_not_write_one_directory(tmp_path, tiny_run, start):
    run = tiny_run(epochs=300)
    first = start(run, tmp_path)
    wait_for_lines(tmp_path / "runs" / run.run_id / "steps.jsonl", 1, first)
    second = start(run, tmp_path)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == RunDirectoryError.exit_code
    assert f"Another process (pid {first.pid}) is training in" in errors
    assert first.poll() is None
    assert read_json(tmp_path / "runs" / run.run_id / "progress.json")["pid"] == first.pid


def test_a_network_that_is_never_trained_is_kept_too(tmp_path, tiny_data, tiny_run):
    trained = tiny_run(epochs=1)
    fields = trained.model_dump(exclude={"training"}) | {"method": {"name": "rtn"}}
    run = resolved(RunSpec.model_validate(fields | {"training": tiny_run((32,)).training}))
    stages.train(run, tmp_path, tiny_data, "cpu")
    found = load_trained(run, tmp_path / "runs", tiny_data, torch.device("cpu"), "a test")
    assert found.model.bitset == run.bitset
