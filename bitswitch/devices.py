"""Which processors are there, and who uses which; torch is imported only to name a device.

Concurrent local jobs never share a GPU unless they are asked to: each claims a slot, an advisory
file lock that the operating system releases whatever way the job ends.
"""

import contextlib
import fcntl
import logging
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bitswitch.errors import DeviceError, hint

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_S = 0.5

log = logging.getLogger(__name__)


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
    gpus = [] if _kind(device) == "cpu" else visible_gpus()
    return len(gpus) * runs_per_gpu or available_cpus()


@contextlib.contextmanager
def claimed_gpu(
    device: str, runs_per_gpu: int = 1, folder: Path | None = None
) -> Iterator[str | None]:
    """Wait for a GPU slot and hold it; inside, no other GPU is visible.

    Does nothing on a machine without GPUs, and when ``device`` names the processor or one GPU.
    CUDA reads the environment once, so claim before anything uses it.

    Args:
        device: ``auto``, ``cpu`` or a torch device.
        runs_per_gpu: How many runs may share a GPU.
        folder: Where the locks lie; None: one folder per user below the temporary one.

    Yields:
        The GPU's identifier, or None when nothing was claimed.
    """
    gpus = visible_gpus() if device in ("auto", "cuda") else []
    if not gpus:
        yield None
        return
    folder = folder or Path(tempfile.gettempdir()) / f"bitswitch-gpus-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    before = os.environ.get(VISIBLE)
    gpu, lock = _claim(gpus, runs_per_gpu, folder)
    with lock:
        os.environ[VISIBLE] = gpu
        try:
            yield gpu
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _claim(gpus: list[str], runs_per_gpu: int, folder: Path) -> tuple[str, IO[str]]:
    """Return the first GPU with a free slot, and the file that locks it; wait until there is one.

    Every GPU gets its first run before any gets its second.
    """
    slots = [(gpu, index) for index in range(runs_per_gpu) for gpu in gpus]
    waiting = False
    while True:
        for gpu, index in slots:
            lock = try_lock(folder / f"{gpu}-{index}".replace("/", "_"))
            if lock is not None:
                return gpu, lock
        if not waiting:
            log.info("all %d GPU slots are taken by other runs; waiting for one", len(slots))
        waiting = True
        time.sleep(POLL_S)


def try_lock(path: Path) -> IO[str] | None:
    """Return ``path`` opened and locked, our process id in it; None while another holds it."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def resolve(device: str) -> "torch.device":
    """Return the device that ``device`` names: ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.

    Raises:
        DeviceError: there is no such device, here or at all.
    """
    import torch

    kind = _kind(device)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return torch.device("cuda" if count else "cpu")
    wanted = torch.device(device)
    if kind == "cuda" and (wanted.index or 0) >= count:
        raise DeviceError(
            f"Device '{device}' was asked for, but torch {torch.__version__} sees "
            f"{count or 'no'} GPU{'s' if count > 1 else ''} here.\n"
            f"  Check nvidia-smi, {VISIBLE} ({os.environ.get(VISIBLE, 'not set')}) and that this "
            f"torch is built for CUDA (it is {'' if torch.version.cuda else 'not '}so);\n"
            f"  or use the processor: --device cpu"
        )
    return wanted


def _kind(device: str) -> str:
    """Return ``device`` without its index.

    Raises:
        DeviceError: no such kind of device.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise DeviceError(
            f"There is no device '{device}'.{hint(device, DEVICES)}"
            f" Use auto, cpu, cuda or cuda:<index>."
        )
    return device.partition(":")[0]


def product_name(device: "torch.device") -> str:
    """Return what ``device`` is sold as, e.g. ``NVIDIA H200``."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
