"""Stop a run between two steps when it is asked to."""

import os
import signal
import time
from types import FrameType
from typing import Any, Self

from bitswitch.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""SIGUSR1 is what clusters send before a time limit."""
ONCE_S = 1.0
"""Signals that come within this time are one request: a cluster, a terminal and the process that
started this one may all pass it on."""


class StopRequest:
    """Whether a signal has asked to stop; asking twice stops at once, as without us.

    Inside ``with``, signals are only noted. The main thread of a program has to enter it.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._noted = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal, self._noted = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._noted > ONCE_S:
            self._restore()
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def check(self) -> None:
        """Do nothing, unless a stop was asked for.

        Raises:
            Interrupted: it was.
        """
        if self.signal is not None:
            text = f"Stopped by {self.signal.name}; the state is saved. Run again to continue."
            raise Interrupted(text, self.signal)
