import sys

import pytest

from bitswitch.bench.processes import run_python
from bitswitch.runtime import allocator

CODE = """
import os, torch
from pathlib import Path
from bitswitch.runtime.allocator import keep_freed_memory

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

{call}
torch.ones(1)
before = resident_mib()
activations = [torch.ones(2**20) for _ in range(50)]
del activations
print(resident_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_two_hundred_mib_stay_with_the_process():
    kept = float(run_python(CODE.format(call="assert keep_freed_memory()")))
    returned = float(run_python(CODE.format(call="")))
    assert returned < 100 < kept


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not allocator.keep_freed_memory()
