"""Stop in order: words in place of a traceback, and the exit code that shells give a signal."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SCHEDULER_VARIABLE = "BITSWITCH_SCHEDULER"
"""Environment variable that names the process whose job this is; see ``identity``."""
GRACE_S = 3.0
"""What a job without its scheduler has to save its state."""

_exit_code: int | None = None
"""Of the exit that a signal asked for."""


def listen() -> None:
    """Let SIGINT and SIGTERM end this process in order; asking twice ends it at once.

    Signals that are ignored stay so.
    """
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        be_silent()
        if os.getpid() != owner:  # a worker that was forked from it
            os.kill(os.getpid(), number)
        name = signal.Signals(number).name
        os.write(2, f"Stopped by {name}. What is complete stays: run it again.\n".encode())
        global _exit_code
        _exit_code = 128 + number
        sys.exit(_exit_code)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as for what a script runs by `&`
            signal.signal(number, stop)


@contextmanager
def exit_kept() -> Iterator[None]:
    """Let the exit that a signal asked for end what runs inside, whatever was made of it.

    Python itself turns what is raised while a class is made into a ``RuntimeError``, and libraries
    do the like with what is raised in their callbacks.
    """
    try:
        yield
    except BaseException:
        if _exit_code is None:
            raise
        sys.exit(_exit_code)


def be_silent() -> None:
    """Let SIGINT and SIGTERM end this process at once and without a word."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def identity(pid: int) -> str:
    """Return what names a process of this machine for ever: pid, moment of its start, boot.

    Raises:
        OSError: there is no such process, or no ``/proc``.
    """
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid} {started} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"


def follow(process: str) -> None:
    """End in order when a process has ended, however it did; its jobs are nobody's then.

    Args:
        process: Its identity. On another machine it means nothing, and nothing is done.
    """
    if not hasattr(os, "pidfd_open"):
        return
    try:
        pid = int(process.partition(" ")[0])
        handle = os.pidfd_open(pid)
        if identity(pid) != process:
            return
    except (OSError, ValueError):
        return
    threading.Thread(target=_end_after, args=(handle,), daemon=True).start()


def _end_after(handle: int) -> None:
    """Wait for a process to end, then end this one."""
    select.select([handle], [], [])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)
