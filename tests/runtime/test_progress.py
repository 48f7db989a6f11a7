import io
import json
import time

import pytest
from rich.console import Console

from bitswitch.runtime import progress
from bitswitch.runtime.progress import Board, Status, status

METRIC = {"name": "top1", "title": "Top-1", "digits": 2}


@pytest.fixture
def run(tmp_path):
    """Write a run directory and return it."""

    def write(name="run", result=None, **heartbeat):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        if heartbeat:
            known = {"epoch": 1, "epochs": 4, "step": 25, "steps": 100, "eta_s": 30.0}
            known |= {"metric": METRIC, "held_out": {"2": 70.0, "8": 90.0}}
            known |= {"updated": time.time(), "pid": 1}
            (folder / "progress.json").write_text(json.dumps(known | heartbeat))
        if result:
            (folder / "result.json").write_text(json.dumps({"status": result}))
        return folder

    return write


def shown(board):
    console = Console(file=io.StringIO(), width=120)
    console.print(progress.render(board))
    return console.file.getvalue()


def test_a_run_without_files_waits(run):
    assert status(run()).state == "waiting"


def test_a_heartbeat_says_how_far_a_run_is(run):
    now = status(run(step=50))
    assert (now.state, now.share) == ("running", 0.5)
    assert now.line() == "run  running  epoch 1/4  Top-1 8: 90.0  2: 70.0  30 s left"


def test_a_run_without_heartbeat_was_interrupted(run):
    assert status(run(updated=time.time() - 2 * progress.SILENT_S)).state == "interrupted"


@pytest.mark.parametrize("state", progress.FINISHED)
def test_a_result_ends_a_run(run, state):
    assert status(run(result=state, step=100)).state == state


def test_half_written_files_count_as_absent(run):
    folder = run(step=3)
    for text in ('{"epoch": ', "[" * 100_000, '{"epoch": ' + "1" * 5000 + "}"):
        (folder / "progress.json").write_text(text)
        assert status(folder).state == "waiting"


def test_a_heartbeat_without_a_time_is_an_old_one(run):
    folder = run(step=3)
    (folder / "progress.json").write_text('{"step": 3, "updated": "then"}')
    assert status(folder).state == "interrupted"


def test_the_board_names_runs_epochs_accuracy_and_time():
    board = Board(total=4, done=1, failed=1, started=time.time() - 100)
    board.running = [
        Status("a-run", "running", 2, 8, 50, 100, METRIC, {"8": 91.25, "2": 60.0}, 90.0)
    ]
    text = shown(board)
    for part in ("1/4 runs", "1 failed", "about 1.0 min left", "a-run", "epoch 2/8", "8: 91.2"):
        assert part in text


def test_nothing_is_promised_before_anything_is_known():
    assert Board(total=4).eta_s is None
    assert "left" not in Board(total=4).line()


def test_watching_ends_when_all_runs_have(run, capsys):
    run("a", result="complete")
    progress.watch(["a"], run("b").parent)
    assert "1/1 runs" in capsys.readouterr().out


def test_each_run_is_read_from_its_beginning_to_its_end(tmp_path, monkeypatch):
    """However many there are."""
    names = [f"run-{number}" for number in range(30)]
    watched = progress.Watched(names, tmp_path)
    assert watched.look().line().startswith("0/30 runs")
    read = []
    monkeypatch.setattr(
        progress, "_read", lambda path, real=progress._read: read.append(path) or real(path)
    )
    watched.look()
    assert not read
    for name in names[:20]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text('{"status": "complete"}')
    (tmp_path / names[20]).mkdir()
    assert watched.look().done == 20
    read.clear()
    assert watched.look().done == 20
    assert {path.parent.name for path in read} == {names[20]}


def test_without_a_terminal_watching_prints_lines(run, capsys, monkeypatch):
    folder = run("a", step=10)
    monkeypatch.setattr(progress.time, "sleep", lambda _: run("a", result="complete"))
    progress.watch(["a"], folder.parent)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0/1 runs, 1 running")
    assert "epoch 1/4" in lines[1]
    assert "\x1b" not in "".join(lines)


def test_a_heartbeat_comes_back_as_it_was_sent(tmp_path):
    sent = Status(tmp_path.name, "running", 1, 4, 30, 100, {"digits": 2}, {"8": 91.25}, 12.5)
    (tmp_path / "progress.json").write_text(json.dumps(sent.heartbeat()))
    assert status(tmp_path) == sent
