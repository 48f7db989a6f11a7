"""Processors, memory and GPUs."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bitswitch.doctor.finding import Finding, size
from bitswitch.doctor.installation import cuda_of_torch, pip_install
from bitswitch.doctor.settings import setting
from bitswitch.errors import LockError
from bitswitch.runtime.devices import available_cpus
from bitswitch.runtime.gpus import VISIBLE, visible
from bitswitch.runtime.locks import private_folder, try_lock

JOB_MIB = 1200
"""What the workflow counts for a job that computes with networks."""
CLAIMED_MIB = 6144
"""What jobs may take together, unless ``--resources mem_mb`` says more."""
MEMORY = Path("/proc/meminfo")
MOST_MEMORY = "ps aux --sort=-rss | head   # end what is not needed"
GROUP_LIMIT, GROUP_USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
"""Of the container."""


def gpu() -> Iterator[Finding]:
    """Look for GPUs, and whether torch is built for them; a job refuses one that it cannot use."""
    found = visible()
    count = len(found.gpus)
    if setting("device", "auto") == "cpu":
        yield Finding("GPU", "ok", f"{count} here; device: cpu is set", "suites of published data")
    elif found.fault:
        cpu = "snakemake --cores 8 all --config device=cpu"
        mend = f"unset {VISIBLE}   # or train on the processor: {cpu}"
        yield Finding("GPU", "broken", found.fault, "every training run", mend, stops=True)
    elif count and cuda_of_torch() is None:
        problem = f"{count} here, and torch is built for processors alone"
        mend = pip_install("--force-reinstall", "torch", "torchvision")
        yield Finding("GPU", "broken", problem, "every training run", mend, stops=True)
    else:
        text = f"{count} here" if count else "none here; runs train on the processor"
        yield Finding("GPU", "ok", text, "suites of published data")


def memory() -> Iterator[Finding]:
    """Look whether as many jobs fit into memory as there are processors."""
    free, cpus = free_memory_mib(), available_cpus()
    if free is None:
        return
    text = f"{size(free)} free, {cpus} processor{'s' if cpus > 1 else ''}"
    if free < JOB_MIB:
        problem = f"{text}; a job takes {size(JOB_MIB)}"
        yield Finding("memory", "broken", problem, "make all", MOST_MEMORY, stops=True)
    elif free < min(JOB_MIB * cpus, CLAIMED_MIB):
        mend = f"snakemake --cores {cpus} all --resources mem_mb={free:.0f}"
        yield Finding("memory", "broken", f"{text}; too little for a job on each", "make all", mend)
    else:
        yield Finding("memory", "ok", text, "make all")


def free_memory_mib() -> float | None:
    """Return what this machine, or its container, has left; None where nobody tells."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = MEMORY.read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) / 1024)
    with suppress(OSError, ValueError):  # "max" is no limit
        left = int(GROUP_LIMIT.read_text()) - int(GROUP_USED.read_text())
        found.append(left / 2**20)
    return min(found, default=None)


def private_locks() -> Iterator[Finding]:
    """Look whether runs can keep off each other's GPUs."""
    what, needed_by = "user's locks", "runs on GPUs, jobs that fork from one process"
    try:
        folder = private_folder()
        lock = try_lock(folder / "checkup")
    except LockError as error:
        first, *_ = str(error).splitlines()
        mend = "mkdir -m 700 ~/.tmp && export TMPDIR=~/.tmp"
        yield Finding(what, "broken", first, needed_by, mend, stops=bool(visible().gpus))
        return
    if lock is not None:
        lock.close()
    yield Finding(what, "ok", f"in {folder}", needed_by)
