"""The directory of one run: its record files, and the lock that keeps others out."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from bitswitch.devices import try_lock
from bitswitch.errors import RunDirectoryError
from bitswitch.records import Lines, write_json, writing

GROWING = ("train", "steps", "timing")
"""Record files that get a line per epoch or step."""
HEARTBEAT_S = 2.0


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
        """Lock the directory.

        Raises:
            RunDirectoryError: it cannot be written, or another process works in it.
        """
        lock_path = self.path / "lock"
        with writing(lock_path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = try_lock(lock_path)
        if lock is None:
            raise RunDirectoryError(
                f"Another process (pid {lock_path.read_text().strip()}) is training in "
                f"{self.path}.\n  Wait for it, or stop it first."
            )
        self._stack.enter_context(lock)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open_lines(self, sizes: dict[str, int]) -> None:
        """Open the growing files, cut back to ``sizes`` bytes (0 where not named).

        Raises:
            RecordError: a file is shorter than that.
        """
        for name in GROWING:
            file = Lines(self.path / f"{name}.jsonl", sizes.get(name, 0))
            self._lines[name] = self._stack.enter_context(file)

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Add a line to a growing file."""
        self._lines[name].append(record)

    def sync(self) -> dict[str, int]:
        """Bring the growing files onto the disk and return their sizes in bytes."""
        for file in self._lines.values():
            file.sync()
        return {name: file.size for name, file in self._lines.items()}

    def heartbeat(self, progress: dict[str, Any], at_once: bool = False) -> None:
        """Rewrite ``progress.json``, unless that was a moment ago."""
        moment = time.monotonic()
        if at_once or moment - self._last_heartbeat >= HEARTBEAT_S:
            self._last_heartbeat = moment
            beat = {**progress, "pid": os.getpid(), "updated": time.time()}
            write_json(self.path / "progress.json", beat)
