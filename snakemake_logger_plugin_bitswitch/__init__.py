"""Snakemake's view of a suite: one live picture on a terminal, one line per finished job elsewhere.

Snakemake finds this package by its name; ``profiles/default/config.yaml`` switches it on. Errors,
warnings and the logs of failed jobs are always printed in full. A dry run looks as Snakemake makes
it, and so does everything with ``--printshellcmds`` or ``--verbose``.
"""

import logging
import sys
import threading
import time
from functools import cached_property
from logging import LogRecord
from pathlib import Path
from typing import Any, NamedTuple

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from bitswitch.runtime.progress import PLAIN_INTERVAL_S, Board, View, status
from bitswitch.text import duration

TRAINING = "train"
"""The rule whose jobs are runs."""
QUIET = (LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.PROGRESS)
"""Events without news for a person."""
UNSEEN = ("waiting", "interrupted")
"""States of a run whose job is in the queue of a cluster, or has not come to it yet."""
CHATTER = ("Select jobs to execute", "Execute ", "Using shell", "host:", "Assuming unrestricted")


class Job(NamedTuple):
    """A running job."""

    rule: str
    run_id: str | None
    name: str
    started: float


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into the view."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.verbatim = settings.dryrun or settings.printshellcmds or settings.verbose
        self.jobs: dict[int, Job] = {}
        self.board = Board(total=0)
        self.failed: set[str] = set()
        self.finished = 0
        self.expected = 0
        self._closing = threading.Event()

    @cached_property
    def view(self) -> View:
        """The view, opened when there is something to show."""
        from rich.console import Console

        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        view = View(self.look, Console(file=stream, no_color=settings.nocolor or None))
        if not view.console.is_terminal:
            threading.Thread(target=self._remind, daemon=True).start()
        return view

    def look(self) -> Board:
        """Return the present board."""
        jobs = list(self.jobs.values())
        runs = [status(Path("results/runs", job.run_id)) for job in jobs if job.run_id]
        self.board.running = [
            run._replace(state="starting") if run.state in UNSEEN else run for run in runs
        ]
        self.board.failed = len(self.failed)
        self.board.others = [job.name for job in jobs if not job.run_id]
        return self.board

    def emit(self, record: LogRecord) -> None:
        """Show one record; a failure to do so must not stop the workflow."""
        try:
            self._show(record, getattr(record, "event", None))
        except Exception:
            self.handleError(record)

    def _show(self, record: LogRecord, event: LogEvent | None) -> None:
        if self.verbatim:
            self._print(self.format(record))
        elif record.levelno >= logging.WARNING:
            self._failed(record, event)
            self._print(self.format(record))
        elif event == LogEvent.RUN_INFO:
            self._plan(record.stats)  # type: ignore[attr-defined]
        elif event == LogEvent.JOB_INFO:
            self._start(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(record.job_id)  # type: ignore[attr-defined]
        elif event not in QUIET and event != LogEvent.JOB_STARTED:
            text = self.format(record)
            if text and not text.startswith(CHATTER):
                self._print(text)

    def _print(self, text: str) -> None:
        """Write ``text``; the view opens with the first job, so that short commands stay plain."""
        if "view" in self.__dict__:
            self.view.print(text)
        else:
            print(text, file=sys.stdout if self.common_settings.stdout else sys.stderr)

    def _plan(self, stats: dict[str, Any]) -> None:
        """Note how many jobs there are, by rule."""
        counts = {rule: int(count) for rule, count in stats.items() if rule != "total"}
        self.expected = sum(counts.values())
        self.board = Board(total=counts.get(TRAINING, 0))
        listed = ", ".join(f"{rule} {count}" for rule, count in counts.items())
        self._print(f"{self.expected} jobs: {listed}")

    def _start(self, record: LogRecord) -> None:
        """Note that a job starts, maybe again after a failure, and open the view."""
        fields = record.__dict__
        run_id = dict(fields["wildcards"]).get("run") if fields["rule_name"] == TRAINING else None
        values = [str(value) for value in dict(fields["wildcards"]).values()]
        name = " ".join([fields["rule_name"], *values])
        self.failed.discard(run_id or "")
        self.jobs[fields["jobid"]] = Job(fields["rule_name"], run_id, name, time.time())
        _ = self.view

    def _finish(self, job_id: int) -> None:
        """Say that a job is done."""
        job = self.jobs.pop(job_id)
        self.finished += 1
        took = duration(time.time() - job.started)
        text = f"[{self.finished}/{self.expected}] {job.name}  {took}"
        if job.run_id:
            self.board.done += 1
            run = status(Path("results/runs", job.run_id))
            text += "  ".join(["", run.state, *filter(None, [run.judged()])])
        self._print(text)

    def _failed(self, record: LogRecord, event: LogEvent | None) -> None:
        """Note that a job failed; its error and log are printed by the caller."""
        if event == LogEvent.JOB_ERROR:
            job = self.jobs.pop(record.jobid, None)  # type: ignore[attr-defined]
            if job is not None and job.run_id is not None:
                self.failed.add(job.run_id)

    def _remind(self) -> None:
        """Without a terminal, say now and then what is running."""
        while not self._closing.wait(PLAIN_INTERVAL_S):
            board = self.look()
            self.view.print("\n  ".join([board.line(), *(run.line() for run in board.running)]))

    def close(self) -> None:
        """Remove the live view."""
        self._closing.set()
        if "view" in self.__dict__:
            self.view.close()
        super().close()
