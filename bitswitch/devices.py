"""Which processors are there, and who uses which; imports no torch.

Concurrent local jobs never share a GPU unless they are asked to: each claims a slot, an advisory
file lock that the operating system releases whatever way the job ends.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_S = 0.5


def available_cpus() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the identifiers of the GPUs this process may use, as in CUDA_VISIBLE_DEVICES."""
    if VISIBLE in os.environ:
        listed = [name.strip() for name in os.environ[VISIBLE].split(",")]
        return [name for name in listed if name not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    answer = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    count = sum(line.startswith("GPU ") for line in answer.stdout.splitlines())
    return [str(index) for index in range(count)]


def training_slots(device: str, runs_per_gpu: int = 1) -> int:
    """Return how many runs may train at once: one per GPU, or one per processor without any.

    Args:
        device: ``auto``, ``cpu`` or a torch device.
        runs_per_gpu: How many runs may share a GPU.
    """
    gpus = [] if device == "cpu" else visible_gpus()
    return len(gpus) * runs_per_gpu or available_cpus()


@contextmanager
def claimed_gpu(device: str, runs_per_gpu: int = 1) -> Iterator[None]:
    """Wait for a GPU slot and hold it; inside, no other GPU is visible.

    Does nothing on a machine without GPUs, and when ``device`` names the processor or one GPU.
    """
    gpus = visible_gpus() if device in ("auto", "cuda") else []
    if not gpus:
        yield
        return
    with ExitStack() as stack:
        os.environ[VISIBLE] = _claim(gpus, runs_per_gpu, stack)
        yield


def _claim(gpus: list[str], runs_per_gpu: int, stack: ExitStack) -> str:
    """Return the first GPU with a free slot; ``stack`` holds the lock."""
    folder = Path(tempfile.gettempdir()) / f"bitswitch-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        for slot in range(runs_per_gpu):
            for gpu in gpus:
                file = (folder / f"{gpu}-{slot}".replace("/", "_")).open("w")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    continue
                stack.enter_context(file)
                return gpu
        time.sleep(POLL_S)
