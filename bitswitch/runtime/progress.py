"""How far runs are: read from their directories, shown as one live view or as plain lines.

A training run rewrites ``progress.json`` as it goes and writes ``result.json`` last. Everything
shown here comes from these two files, so watching a suite never disturbs it.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bitswitch.text import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SILENT_S = 300
"""A run whose heartbeat is older than this is taken for interrupted."""
REFRESH_S = 1.0
PLAIN_INTERVAL_S = 60.0
"""Without a terminal, running jobs are listed this often."""
FINISHED = ("complete", "diverged", "collapsed")


class Status(NamedTuple):
    """How far one run is."""

    run_id: str
    state: str
    """``waiting``, ``starting``, ``running``, ``interrupted``, or the status in ``result.json``."""
    epoch: int = 0
    """Complete epochs."""
    epochs: int = 0
    step: int = 0
    """Complete training steps."""
    steps: int = 0
    metric: dict[str, Any] = {}  # noqa: RUF012  (never mutated)
    """The headline of the task: ``name``, ``title``, ``digits``, ..."""
    held_out: dict[str, float] = {}  # noqa: RUF012
    """It on the held-out split per bit-width, after the last complete epoch."""
    eta_s: float | None = None

    @property
    def share(self) -> float:
        """Done share of the training, 0 to 1."""
        return self.step / self.steps if self.steps else 0.0

    def values(self) -> str:
        """Return ``8: 96.1  4: 95.0``, widest first; a digit less than tables have."""
        ordered = sorted(self.held_out.items(), key=lambda item: -int(item[0]))
        digits = max(0, int(self.metric.get("digits", 2)) - 1)
        return "  ".join(f"{bits}: {value:.{digits}f}" for bits, value in ordered)

    def judged(self) -> str:
        """Return the same behind the title of the metric; nothing while there are no values."""
        return f"{self.metric.get('title', '')} {self.values()}".strip() if self.held_out else ""

    def heartbeat(self) -> dict[str, Any]:
        """Return what ``progress.json`` says of a run that is so far now; ``status`` reads it."""
        said = {key: value for key, value in self._asdict().items() if key != "state"}
        return {**said, "pid": os.getpid(), "updated": time.time()}

    def line(self) -> str:
        """Return all of it as one line of text."""
        parts = [self.run_id, self.state]
        if self.epochs:
            parts.append(f"epoch {self.epoch}/{self.epochs}")
        if self.held_out:
            parts.append(self.judged())
        if self.state == "running" and self.eta_s is not None:
            parts.append(f"{duration(self.eta_s)} left")
        return "  ".join(parts)


def status(folder: Path) -> Status:
    """Return how far the run in ``folder`` is; files that cannot be read count as absent."""
    progress, result = _read(folder / "progress.json"), _read(folder / "result.json")
    if result:
        state = str(result.get("status", "complete"))
    elif progress:
        updated = progress.get("updated")
        age = time.time() - (updated if isinstance(updated, int | float) else 0)
        state = "running" if age < SILENT_S else "interrupted"
    else:
        state = "waiting"
    known = {key: progress[key] for key in Status._fields if key in progress}
    return Status(**{**known, "run_id": folder.name, "state": state})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


@dataclass
class Board:
    """Everything the view shows at one moment."""

    total: int
    """Training runs to be done in all."""
    done: int = 0
    failed: int = 0
    running: list[Status] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Running jobs that train nothing."""
    started: float = field(default_factory=time.time)

    @property
    def eta_s(self) -> float | None:
        """Remaining time, if the runs to come are like those seen; None while nothing is known."""
        seen = self.done + self.failed + sum(run.share for run in self.running)
        if seen <= 0:
            return None
        return (time.time() - self.started) * (self.total - seen) / seen

    def line(self) -> str:
        """Return the totals as one line of text."""
        parts = [f"{self.done}/{self.total} runs"]
        starting = sum(run.state == "starting" for run in self.running)
        if len(self.running) > starting:
            parts.append(f"{len(self.running) - starting} running")
        if starting:
            parts.append(f"{starting} starting")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"{duration(time.time() - self.started)} elapsed")
        if self.eta_s is not None and self.done < self.total:
            parts.append(f"about {duration(self.eta_s)} left")
        return ", ".join(parts + self.others)


def render(board: Board) -> "RenderableType":
    """Return the view of ``board`` for a terminal."""
    from rich.console import Group
    from rich.markup import escape
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    rows = Table.grid(padding=(0, 2))
    for run in board.running:
        left = duration(run.eta_s) if run.eta_s is not None else ""
        bar = ProgressBar(total=1.0, completed=run.share, width=16)
        epoch = f"epoch {run.epoch}/{run.epochs}" if run.epochs else "starting"
        rows.add_row(escape(run.run_id), bar, epoch, run.values(), left)
    total = Table.grid(padding=(0, 2))
    finished = ProgressBar(total=max(board.total, 1), completed=board.done + board.failed, width=24)
    total.add_row(finished, escape(board.line()))
    return Group(total, rows)


class View:
    """Shows boards until it is closed: live on a terminal, else as lines now and then.

    Args:
        board: Gives the board to show; called from another thread.
        console: Where to write.
    """

    def __init__(self, board: Callable[[], Board], console: "Console") -> None:
        from rich.live import Live

        self.console = console
        self._live = Live(
            console=console,
            get_renderable=lambda: render(board()),
            refresh_per_second=1 / REFRESH_S,
            transient=True,
        )
        if console.is_terminal:
            self._live.start()

    def print(self, text: str) -> None:
        """Write ``text`` above the live view."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the live view."""
        self._live.stop()


class Watched:
    """Runs of which each is looked at until it is finished, and not before it has a folder.

    Args:
        run_ids: The runs.
        runs: Folder of the run directories.
    """

    def __init__(self, run_ids: Iterable[str], runs: Path) -> None:
        self._runs = runs
        self._left = set(run_ids)
        self.board = Board(total=len(self._left))

    def look(self) -> Board:
        """Return the present board."""
        begun = self._runs.iterdir() if self._runs.is_dir() else ()
        now = [status(folder) for folder in sorted(begun) if folder.name in self._left]
        self._left = self._left.difference(run.run_id for run in now if run.state in FINISHED)
        self.board.done = self.board.total - len(self._left)
        self.board.running = [run for run in now if run.state == "running"]
        return self.board


def watch(run_ids: Iterable[str], runs: Path) -> None:
    """Show how far runs are until all of them are finished or the user stops it.

    Args:
        run_ids: The runs to watch.
        runs: Folder of the run directories.
    """
    from rich.console import Console

    watched = Watched(run_ids, runs)
    board = watched.board
    view, told = View(watched.look, Console()), 0.0
    try:
        while watched.look().done < board.total:
            if not view.console.is_terminal and time.time() - told >= PLAIN_INTERVAL_S:
                view.print("\n  ".join([board.line(), *(run.line() for run in board.running)]))
                told = time.time()
            time.sleep(REFRESH_S)
    finally:
        view.close()
        view.print(watched.look().line())
