"""What is said and returned when a process is stopped, at any moment."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bitswitch.runtime import stopping
from tests.workflow.conftest import SUITE

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
COMMAND = [sys.executable, "-c", "from bitswitch.cli.entry import main; main()"]


def hears_sigint():
    """Undo what a shell that runs these tests in the background makes of SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


OPEN = {"text": True, "stderr": subprocess.PIPE, "preexec_fn": hears_sigint}


def stopped(process, number):
    process.send_signal(number)
    errors = process.communicate(timeout=30)[1]
    assert "Traceback" not in errors
    return process.returncode, errors


def listens(process):
    """Return whether a process handles SIGTERM."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\w+)", text)[1], 16) >> (signal.SIGTERM - 1) & 1


@linux
@pytest.mark.parametrize(
    ("number", "after_s"),
    [(signal.SIGINT, 0.0), (signal.SIGTERM, 0.1), (signal.SIGINT, 0.2), (signal.SIGINT, 0.4)],
)
def test_commands_stop_in_order_at_any_moment(number, after_s):
    """Imports and the expansion of these suites take longer than all moments."""
    command = [*COMMAND, "validate", "mini", "smoke", "paper", "cifar10"]
    with subprocess.Popen(command, **OPEN) as process:
        while not listens(process):
            time.sleep(0.005)
        time.sleep(after_s)
        code, errors = stopped(process, number)
    assert code == 128 + number
    assert f"Stopped by {number.name}. What is complete stays" in errors


def test_what_python_makes_of_the_exit_changes_nothing():
    """A signal that arrives while a class is made becomes another exception."""
    code = """
import os
from bitswitch.runtime import stopping
class Slow:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), 15)
stopping.listen()
with stopping.exit_kept():
    try:
        class Owner:
            slow = Slow()
    except SystemExit as error:
        raise RuntimeError("a library's own") from error
"""
    with subprocess.Popen([sys.executable, "-c", code], text=True, stderr=subprocess.PIPE) as done:
        errors = done.communicate(timeout=30)[1]
    assert errors == "Stopped by SIGTERM. What is complete stays: run it again.\n"
    assert done.returncode == 128 + signal.SIGTERM


def test_errors_that_no_signal_asked_for_stay():
    with pytest.raises(RuntimeError, match="own"), stopping.exit_kept():
        raise RuntimeError("our own")


def test_watching_stops_in_order(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(SUITE))
    command = [*COMMAND, "watch", tmp_path / "tiny.yaml", "--results", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, **OPEN) as process:
        assert process.stdout.readline().startswith("0/")
        code, errors = stopped(process, signal.SIGINT)
    assert code == 130
    assert "Stopped by SIGINT" in errors


def follower(leader, identity=None, code="print('there', flush=True); time.sleep(60)"):
    """Start a process that follows ``leader``."""
    setup = (
        "import sys, time\nfrom bitswitch.runtime import stopping as s\n"
        "s.listen(); s.follow(sys.argv[1]);"
    )
    command = [sys.executable, "-c", setup + code, identity or stopping.identity(leader.pid)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def leader():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@linux
def test_a_job_ends_at_once_when_its_scheduler_is_killed(leader):
    with follower(leader) as process:
        process.stdout.readline()
        leader.kill()
        leader.wait()
        began = time.monotonic()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
        assert time.monotonic() - began < stopping.GRACE_S


@linux
def test_a_job_that_does_not_end_is_killed(leader):
    deaf = "import signal; signal.signal(15, lambda *a: None); print(flush=True)\n"
    deaf += "while True: time.sleep(1)"
    with follower(leader, code=deaf) as process:
        process.stdout.readline()
        leader.kill()
        leader.wait()
        assert process.wait(timeout=30) == -signal.SIGKILL


@linux
def test_a_process_of_another_machine_is_not_followed(leader):
    elsewhere = stopping.identity(leader.pid) + "0"
    with follower(leader, elsewhere, "print('there'); sys.exit(5)") as process:
        assert process.wait(timeout=30) == 5


def test_signals_that_are_ignored_stay_so():
    code = (
        "import os, signal; from bitswitch.runtime import stopping;"
        "signal.signal(2, signal.SIG_IGN); stopping.listen(); os.kill(os.getpid(), 2); print('on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "on\n"
