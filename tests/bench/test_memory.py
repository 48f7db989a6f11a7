import os
import subprocess
import sys

import torch

from bitswitch.bench.memory import QUIET, peak_memory_mib

CPU = torch.device("cpu")


def test_only_what_is_held_at_once_counts():
    def one_after_the_other():
        for _ in range(3):
            torch.ones(2**20)

    def all_at_once():
        return [torch.ones(2**20) for _ in range(3)]

    assert round(peak_memory_mib(one_after_the_other, CPU)) == 4
    assert round(peak_memory_mib(all_at_once, CPU)) == 12


def test_the_profiler_prints_nothing_between_results():
    script = (
        "import torch\nfrom bitswitch.bench.memory import peak_memory_mib\n"
        "peak_memory_mib(lambda: torch.ones(9), torch.device('cpu'))"
    )
    alone = {name: value for name, value in os.environ.items() if name != QUIET[0]}
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, env=alone, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_a_gpu_is_asked_for_its_own_peak(monkeypatch):
    held = {torch.device("cuda:1"): 2**20}
    for name in ("memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda device=None: held[device])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device=None: held[device])

    def work():
        held[torch.device("cuda:1")] += 5 * 2**20

    assert peak_memory_mib(work, torch.device("cuda:1")) == 5
