"""Measure fresh Python processes."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from statistics import median

POLL_S = 0.005
GIVE_UP_S = 300.0


def run_python(code: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what ``code`` prints in a fresh single-threaded Python process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def time_python(code: str, repeats: int = 5) -> float:
    """Return the median wall time in seconds of a fresh Python process that runs ``code``."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run_python(code)
        times.append(time.perf_counter() - began)
    return median(times)


def time_until(ready: Callable[[], bool], code: str, *arguments: str) -> float:
    """Return the seconds from the start of a Python process until ``ready()``, then stop it.

    Raises:
        subprocess.CalledProcessError: it ended, or took minutes, without getting there.
    """
    command = [sys.executable, "-c", code, *arguments]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            while not ready():
                if process.poll() is not None or time.perf_counter() - began > GIVE_UP_S:
                    log.seek(0)
                    raise subprocess.CalledProcessError(
                        process.returncode or 1, command, stderr=log.read()
                    )
                time.sleep(POLL_S)
            return time.perf_counter() - began
        finally:
            process.terminate()
