"""The directory of one run: its record files, and the lock that keeps others out."""

import logging
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from bitswitch.errors import LockError, RunDirectoryError
from bitswitch.results.files import START, Lines, Mark, write_json, writing
from bitswitch.results.record import Record
from bitswitch.results.result import NAME as RESULT
from bitswitch.runtime.drafts import remove_lost
from bitswitch.runtime.locks import try_lock
from bitswitch.runtime.progress import Status

GROWING = ("train", "steps", "timing")
"""Record files that get a line per epoch or step."""
HEARTBEAT, HEARTBEAT_S = "progress.json", 2.0
PATIENCE_S = 5.0
"""How long a process that stops may keep its directory."""
POLL_S = 0.1

log = logging.getLogger(__name__)


class RunDirectory:
    """Files of one run, for one process at a time.

    Args:
        path: Is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._lines: dict[str, Lines] = {}
        self._last_heartbeat = 0.0

    def __enter__(self) -> Self:
        """Lock the directory, and clear what killed attempts left half written.

        Where its file system has no locks, that is said, and work goes on unless somebody else's
        heartbeat does.

        Raises:
            RunDirectoryError: it cannot be written, or another process works in it.
        """
        with writing(self.path / "lock"):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self._stack.enter_context(self._locked(self.path / "lock"))
            except LockError as error:
                log.warning("%s Nothing keeps a second process out of %s.", error, self.path)
                self._check_nobody_writes()
        remove_lost(self.path)
        return self

    def _locked(self, path: Path) -> IO[str]:
        """Return the lock, had at once or after the process that has it has stopped.

        Raises:
            RunDirectoryError: it does not stop.
        """
        end = time.monotonic() + PATIENCE_S
        while (lock := try_lock(path)) is None:
            if time.monotonic() > end:
                raise RunDirectoryError(
                    f"Another process (pid {path.read_text().strip()}) is training in "
                    f"{self.path}.\n  Wait for it, or stop it first."
                )
            time.sleep(POLL_S)
        return lock

    def _check_nobody_writes(self) -> None:
        """Watch the heartbeat of an attempt that came to no end, on whatever machine.

        Raises:
            RunDirectoryError: it goes on.
        """
        heartbeat = self.path / HEARTBEAT
        if not heartbeat.exists() or (self.path / RESULT).exists():
            return
        before, end = heartbeat.stat().st_mtime_ns, time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            time.sleep(POLL_S)
            if heartbeat.exists() and heartbeat.stat().st_mtime_ns != before:
                raise RunDirectoryError(
                    f"Another process, maybe of another machine, is training in {self.path}: "
                    f"{HEARTBEAT} changes.\n  Wait for it, or stop it first."
                )

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open_lines(self, marks: dict[str, Mark]) -> None:
        """Open the growing files, cut back to where ``marks`` were made (empty where not named).

        Raises:
            RecordError: a file does not say what it said then.
        """
        for name in GROWING:
            file = Lines(self.path / f"{name}.jsonl", marks.get(name, START))
            self._lines[name] = self._stack.enter_context(file)

    def append(self, name: str, record: Record) -> None:
        """Add a line to a growing file."""
        self._lines[name].append(record.content())

    def sync(self) -> dict[str, Mark]:
        """Bring the growing files onto the disk and return what they hold."""
        for file in self._lines.values():
            file.sync()
        return {name: file.mark for name, file in self._lines.items()}

    def heartbeat(self, status: Status, at_once: bool = False) -> None:
        """Rewrite ``progress.json``, unless that was a moment ago."""
        now = time.monotonic()
        if at_once or now - self._last_heartbeat >= HEARTBEAT_S:
            self._last_heartbeat = now
            write_json(self.path / HEARTBEAT, status.heartbeat())
