"""The logger plugin, fed with the records that Snakemake sends."""

import json
import logging
import re
import time
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from snakemake_logger_plugin_bitswitch import LogHandler


@pytest.fixture
def make(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    handlers = []

    def make(**settings):
        known = dict.fromkeys(("dryrun", "printshellcmds", "verbose"), False)
        known |= {"stdout": True, "nocolor": True, "show_failed_logs": True}
        handler = LogHandler(SimpleNamespace(**known | settings), None)
        handler.setFormatter(DefaultFormatter(set(), show_failed_logs=True))
        handlers.append(handler)
        return handler

    yield make
    for handler in handlers:
        handler.close()


def send(handler, event, message="", level=logging.INFO, **fields):
    record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    record.__dict__.update(fields, event=event)
    handler.handle(record)


def start(handler, job_id, rule="train", **wildcards):
    send(handler, LogEvent.JOB_INFO, jobid=job_id, rule_name=rule, wildcards=wildcards)


def test_snakemake_finds_the_plugin():
    assert LoggerPluginRegistry().is_installed("bitswitch")


def test_each_finished_job_is_one_line(make, capsys):
    handler = make()
    send(handler, LogEvent.RUN_INFO, stats={"train": 2, "all": 1, "total": 3})
    start(handler, 7, run="a-run")
    start(handler, 8, rule="collect")
    send(handler, LogEvent.JOB_FINISHED, job_id=7)
    send(handler, LogEvent.JOB_FINISHED, job_id=8)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 jobs: train 2, all 1"
    assert re.match(r"\[1/3\] train a-run  [<.\d]+ m?s\b", lines[1])
    assert re.match(r"\[2/3\] collect  [<.\d]+ m?s\b", lines[2])


def test_a_finished_run_says_the_headline_of_its_task(make, capsys, tmp_path):
    handler = make()
    start(handler, 7, run="a-run")
    (folder := tmp_path / "results" / "runs" / "a-run").mkdir(parents=True)
    said = {"metric": {"title": "Error", "digits": 3}, "held_out": {"8": 0.514, "2": 0.75}}
    (folder / "progress.json").write_text(json.dumps(said | {"updated": time.time()}))
    send(handler, LogEvent.JOB_FINISHED, job_id=7)
    assert "  running  Error 8: 0.51  2: 0.75" in capsys.readouterr().out


def test_the_board_counts_runs_and_names_other_jobs(make):
    handler = make()
    send(handler, LogEvent.RUN_INFO, stats={"train": 2, "total": 2})
    start(handler, 1, run="a-run")
    start(handler, 2, rule="table", table="table4")
    board = handler.look()
    assert (board.total, [run.run_id for run in board.running]) == (2, ["a-run"])
    assert board.others == ["table table4"]
    send(handler, LogEvent.JOB_FINISHED, job_id=1)
    assert (handler.look().done, handler.look().running) == (1, [])


def test_a_failed_job_shows_its_log(make, capsys, tmp_path):
    handler = make()
    start(handler, 1, run="a-run")
    (tmp_path / "log").write_text("error: the reason\n")
    fields = {"jobid": 1, "rule_name": "train", "log": ["log"], "indent": False, "aux": {}}
    empty = dict.fromkeys(("input", "output", "conda_env", "shellcmd", "rule_msg"), "")
    send(handler, LogEvent.JOB_ERROR, level=logging.ERROR, **fields, **empty)
    assert "error: the reason" in capsys.readouterr().out
    assert handler.look().failed == 1
    start(handler, 1, run="a-run")
    assert handler.look().failed == 0


def test_a_run_that_waits_in_a_queue_is_not_said_to_run(make, tmp_path):
    handler = make()
    send(handler, LogEvent.RUN_INFO, stats={"train": 2, "total": 2})
    start(handler, 1, run="waits")
    start(handler, 2, run="runs")
    (folder := tmp_path / "results" / "runs" / "runs").mkdir(parents=True)
    (folder / "progress.json").write_text(json.dumps({"updated": time.time()}))
    board = handler.look()
    assert [run.state for run in board.running] == ["starting", "running"]
    assert board.line().startswith("0/2 runs, 1 running, 1 starting")


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_warnings_and_errors_are_printed_as_they_are(make, capsys, level):
    send(make(), None, "something is wrong: {} %s [red]", level=level)
    assert capsys.readouterr().out == "something is wrong: {} %s [red]\n"


@pytest.mark.parametrize("setting", ["dryrun", "printshellcmds", "verbose"])
def test_snakemakes_own_messages_can_be_had(make, capsys, setting):
    handler = make(**{setting: True})
    send(handler, LogEvent.RUN_INFO, "Job stats: ...", stats={"train": 2})
    assert capsys.readouterr().out == "Job stats: ...\n"


def test_what_is_no_news_is_left_out(make, capsys):
    handler = make()
    send(handler, None, "Select jobs to execute...")
    send(handler, LogEvent.RESOURCES_INFO, "Provided cores: 8")
    send(handler, None, "Nothing to be done")
    assert capsys.readouterr().out == "Nothing to be done\n"


def test_a_defect_of_the_view_does_not_stop_the_workflow(make, capsys, monkeypatch):
    handler = make()
    monkeypatch.setattr(logging, "raiseExceptions", True)
    send(handler, LogEvent.JOB_FINISHED, job_id=99)
    assert "KeyError" in capsys.readouterr().err


def test_without_a_terminal_nothing_is_redrawn(make, capsys):
    handler = make()
    start(handler, 1, run="a-run")
    send(handler, LogEvent.JOB_FINISHED, job_id=1)
    assert "\x1b" not in capsys.readouterr().out
