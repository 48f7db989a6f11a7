"""Tests of ``bitswitch.searches.exact.quiet_stdout``."""

import subprocess
import sys

PROGRAM = """
import ctypes, os
from bitswitch.searches.exact.quiet_stdout import silenced
print("before")
with silenced():
    ctypes.CDLL(None).puts(b"compiled code")
    os.write(1, b"compiled code")
print("after")
try:
    with silenced():
        raise KeyError
except KeyError:
    print("error")
"""


def test_only_what_is_printed_outside_is_seen():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("before\nafter\nerror\n", "")
