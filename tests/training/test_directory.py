import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from bitswitch.errors import RecordError, RunDirectoryError
from bitswitch.results.files import mark_of, read_json, read_lines
from bitswitch.results.record import Record
from bitswitch.runtime.progress import Status
from bitswitch.training import directory
from bitswitch.training.directory import RunDirectory


def enter(path: str, answers) -> None:
    try:
        with RunDirectory(Path(path)):
            answers.put("entered")
    except RunDirectoryError as error:
        answers.put(str(error))


def enter_elsewhere(path: Path) -> str:
    """Return what another process meets."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=enter, args=(str(path), answers))
    process.start()
    answer = answers.get(timeout=30)
    process.join()
    return answer


def test_a_second_process_is_refused_and_told_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "PATIENCE_S", 0.0)
    with RunDirectory(tmp_path / "run"):
        answer = enter_elsewhere(tmp_path / "run")
    assert f"(pid {os.getpid()}) is training in {tmp_path / 'run'}" in answer


def test_a_second_process_waits_for_one_that_stops(tmp_path):
    code = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
        " print('locked', flush=True); time.sleep(0.3)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with RunDirectory(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_without_locks_a_run_goes_on_and_says_so(tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with RunDirectory(tmp_path):
        assert "Nothing keeps a second process out" in caplog.text


@pytest.mark.parametrize("alive", [True, False])
def test_without_locks_a_heartbeat_keeps_others_out(tmp_path, monkeypatch, alive):
    def refuse(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    def beat():
        while not over.wait(0.02):
            (tmp_path / "progress.json").write_text("{}")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(directory, "PATIENCE_S", 0.5)
    (tmp_path / "progress.json").write_text("{}")
    over = threading.Event()
    if not alive:
        over.set()
    other = threading.Thread(target=beat)
    other.start()
    try:
        with pytest.raises(RunDirectoryError, match="is training") if alive else nullcontext():
            RunDirectory(tmp_path).__enter__()
    finally:
        over.set()
        other.join()


def test_a_directory_is_free_again_afterwards(tmp_path):
    with RunDirectory(tmp_path):
        pass
    assert enter_elsewhere(tmp_path) == "entered"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(RunDirectoryError, match="results/run/lock cannot be written"):
        RunDirectory(tmp_path / "results" / "run").__enter__()


class Line(Record):
    epoch: int


def test_growing_files_are_cut_back_to_the_checkpoint(tmp_path):
    with RunDirectory(tmp_path) as run:
        run.open_lines({})
        run.append("train", Line(epoch=0))
        sizes = run.sync()
        run.append("train", Line(epoch=1))
        run.append("steps", Line(epoch=0))
    with RunDirectory(tmp_path) as run:
        run.open_lines(sizes)
        run.append("train", Line(epoch=10))
    assert read_lines(tmp_path / "train.jsonl") == [{"epoch": 0}, {"epoch": 10}]
    assert read_lines(tmp_path / "steps.jsonl") == []


def test_a_file_shorter_than_the_checkpoint_says_is_an_error(tmp_path):
    with RunDirectory(tmp_path) as run, pytest.raises(RecordError, match=r"train.jsonl has 0"):
        run.open_lines({"train": mark_of(b"0" * 10)})


def test_heartbeats_are_rare_unless_urgent(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "HEARTBEAT_S", 1000.0)
    with RunDirectory(tmp_path) as run:
        for step in range(3):
            run.heartbeat(Status("run", "running", step=step))
        assert read_json(tmp_path / "progress.json")["step"] == 0
        run.heartbeat(Status("run", "running", step=3), at_once=True)
    progress = read_json(tmp_path / "progress.json")
    assert progress["step"] == 3
    assert progress["pid"] == os.getpid()
    assert progress["updated"] > 0
