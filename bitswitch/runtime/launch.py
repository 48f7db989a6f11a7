"""Start the processes that work on one run together, on this machine; torchrun does so on many."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

RANK = "RANK"
"""Environment variable that torchrun sets: which of the processes this one is."""
HOST = "127.0.0.1"
GRACE_S = 30.0
"""What processes have to save their state, once one of them failed."""
POLL_S = 0.1
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def is_rank() -> bool:
    """Return whether this process is one of several, however they were started."""
    return RANK in os.environ


def leads() -> bool:
    """Return whether this process writes files and speaks for all."""
    return os.environ.get(RANK, "0") == "0"


def local_device(device: str) -> str:
    """Return what ``device`` is for this process among those of one machine: a GPU of its own."""
    from bitswitch.runtime.devices import gpus_for

    local = os.environ.get("LOCAL_RANK", "0")
    return f"cuda:{local}" if gpus_for(device) else "cpu"


def launch(processes: int, arguments: Sequence[str], left_out: Sequence[str] = ()) -> int:
    """Run the command line so many times at once on this machine, and wait for all.

    Where one process fails, the others are stopped; it alone is heard, besides the leading one.
    Signals that ask to stop go to all of them.

    Args:
        processes: How many.
        arguments: Of the command line.
        left_out: Environment variables that they do not get.

    Returns:
        The exit code: that of the signal that asked to stop, or of the process that failed first.
    """
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": HOST, "MASTER_PORT": str(_free_port())}
    with TemporaryDirectory(prefix="bitswitch-") as folder, ExitStack() as stack:
        errors = [Path(folder) / str(rank) for rank in range(1, processes)]
        outputs = [None, *(stack.enter_context(path.open("wb")) for path in errors)]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "bitswitch", *arguments],
                env=kept | shared | {RANK: str(rank), "LOCAL_RANK": str(rank)},
                stderr=output,
            )
            for rank, output in enumerate(outputs)
        ]
        with _forwarded(started) as received:
            first = _first_failure(started)
        if first is None:
            return 0
        code = started[first].returncode
        if received and _exit_code(code) - 128 in FORWARDED:
            return 128 + received[0]
        if first and code != started[0].returncode:
            said = errors[first - 1].read_text() or f"ended by {signal.Signals(-code).name}\n"
            sys.stderr.write(f"error: process {first} of {processes}: {said}")
        return _exit_code(code)


def _first_failure(started: Sequence["subprocess.Popen[bytes]"]) -> int | None:
    """Wait for all processes; return which failed first, or None. It stops the others."""
    failed = None
    while any(process.poll() is None for process in started):
        if failed is None:
            failed = _failed(started)
            deadline = time.monotonic() + GRACE_S
            if failed is not None:
                _signal(started, signal.SIGTERM)
        elif time.monotonic() > deadline:
            _signal(started, signal.SIGKILL)
        time.sleep(POLL_S)
    return _failed(started) if failed is None else failed


def _failed(started: Sequence["subprocess.Popen[bytes]"]) -> int | None:
    return next((rank for rank, process in enumerate(started) if process.poll()), None)


def _signal(started: Sequence["subprocess.Popen[bytes]"], number: int) -> None:
    """Send a signal to all processes that still run."""
    for process in started:
        if process.poll() is None:
            process.send_signal(number)


@contextmanager
def _forwarded(started: Sequence["subprocess.Popen[bytes]"]) -> Iterator[list[int]]:
    """Pass signals that ask to stop on to all processes; yield those that have come."""
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        _signal(started, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_code(code: int) -> int:
    """Return an exit code as shells give it: of a signal, 128 more than its number."""
    return 128 - code if code < 0 else code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
