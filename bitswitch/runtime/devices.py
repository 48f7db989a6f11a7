"""Which processors are there, and who uses which; torch is imported only to name a device.

Concurrent local jobs never share a GPU unless they are asked to: each claims a slot, an advisory
file lock that the operating system releases whatever way the job ends.
"""

import contextlib
import logging
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bitswitch.errors import DeviceError, LockError, hint
from bitswitch.runtime import allocation
from bitswitch.runtime.gpus import VISIBLE, Gpu, visible
from bitswitch.runtime.locks import private_folder, try_lock

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
POLL_S = 0.5

log = logging.getLogger(__name__)


def available_cpus() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def training_slots(device: str, runs_per_gpu: int = 1) -> int:
    """Return how many runs may train at once: one per GPU, or one per processor without any.

    A device with an index is one GPU.

    Args:
        device: ``auto``, ``cpu`` or a torch device.
        runs_per_gpu: How many runs may share a GPU.
    """
    return len(gpus_for(device)) * runs_per_gpu or available_cpus()


def gpus_for(device: str) -> list[Gpu]:
    """Return the GPUs that a run on ``device`` may take: any, the one it names, or none."""
    kind, index = _kind(device), device.partition(":")[2]
    gpus = [] if kind == "cpu" else visible().gpus
    return gpus[int(index) :][:1] if index else gpus


@contextlib.contextmanager
def claimed_gpus(
    device: str, runs_per_gpu: int = 1, folder: Path | None = None, count: int = 1
) -> Iterator[list[str]]:
    """Wait for GPU slots and hold them; inside, no other GPU is visible.

    Where ``device`` has an index, the others stay visible, since it counts them. Does nothing
    on a machine without GPUs, and when ``device`` is the processor. CUDA reads the environment
    once, so claim before anything uses it. The GPUs that a cluster has given to this job alone
    are taken as they are.

    Args:
        device: ``auto``, ``cpu`` or a torch device.
        runs_per_gpu: How many runs may share a GPU.
        folder: Where the locks lie; None: a folder of this user's alone.
        count: How many GPUs, all at once.

    Yields:
        Their names; none where nothing was claimed.

    Raises:
        DeviceError: there are not so many.
        LockError: there is no place for locks.
    """
    gpus = gpus_for(device)
    if not gpus:
        yield []
        return
    if count > len(gpus):
        raise DeviceError(
            f"{count} processes need {count} GPUs, and there are {len(gpus)} here for device "
            f"'{device}'.\n  Ask for {len(gpus)} processes, or use the processor: --device cpu"
        )
    if allocation.is_own():
        yield [gpu.name for gpu in gpus[:count]]
        return
    before = os.environ.get(VISIBLE)
    folder = folder or private_folder()
    try:
        claimed = _claim(gpus, runs_per_gpu, folder, count)
    except LockError as error:
        raise LockError(
            f"{error}\n  They keep runs off each other's GPUs: name a local folder, TMPDIR=FOLDER."
        ) from None
    with contextlib.ExitStack() as stack:
        for lock in claimed.values():
            stack.enter_context(lock)
        names = [gpu.name for gpu in claimed]
        if ":" not in device:
            os.environ[VISIBLE] = ",".join(names)
        try:
            yield names
        finally:
            if before is None:
                os.environ.pop(VISIBLE, None)
            else:
                os.environ[VISIBLE] = before


def _claim(gpus: list[Gpu], runs_per_gpu: int, folder: Path, count: int) -> dict[Gpu, IO[str]]:
    """Return the first GPUs with a free slot, and the files that lock them; wait until there are.

    Every GPU gets its first run before any gets its second. Nobody waits with some in hand.
    """
    slots = [(gpu, index) for index in range(runs_per_gpu) for gpu in gpus]
    waiting = False
    while True:
        claimed = _free(slots, folder, count)
        if len(claimed) == count:
            return claimed
        for lock in claimed.values():
            lock.close()
        if not waiting:
            log.info("all %d GPU slots are taken by other runs; waiting for one", len(slots))
        waiting = True
        time.sleep(POLL_S)


def _free(slots: list[tuple[Gpu, int]], folder: Path, count: int) -> dict[Gpu, IO[str]]:
    """Return at most ``count`` GPUs with a free slot, and the files that lock them."""
    claimed: dict[Gpu, IO[str]] = {}
    for gpu, index in slots:
        if len(claimed) < count and gpu not in claimed:
            lock = try_lock(folder / f"{gpu.identity}-{index}".replace("/", "_"))
            if lock is not None:
                claimed[gpu] = lock
    return claimed


def resolve(device: str) -> "torch.device":
    """Return the device that ``device`` names: ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.

    ``auto`` is the processor only where no GPU is meant: neither there nor named. Products of
    float32 keep all their bits on a GPU from then on.

    Raises:
        DeviceError: there is no such device, here or at all, or torch cannot use it.
    """
    found = _resolved(device)
    if found.type == "cuda":
        from bitswitch.runtime.products import multiply_exactly

        multiply_exactly()
    return found


def make_current(device: "torch.device") -> None:
    """Let what names no device mean this one: pinned memory, pickled messages, counted memory.

    Does nothing where ``device`` is the processor, or has no index: then it is current already.
    """
    if device.type == "cuda" and device.index is not None:
        import torch

        torch.cuda.set_device(device)


def _resolved(device: str) -> "torch.device":
    """Return the device that ``device`` names, for ``resolve``."""
    import torch

    kind = _kind(device)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        found = visible()
        if not count and (found.gpus or found.fault):
            named = ", ".join(gpu.name for gpu in found.gpus)
            raise _unusable(found.fault or f"There is a GPU here ({named})", count)
        return torch.device("cuda" if count else "cpu")
    wanted = torch.device(device)
    if kind == "cuda" and (wanted.index or 0) >= count:
        raise _unusable(f"Device '{device}' was asked for", count)
    return wanted


def _unusable(why: str, count: int) -> DeviceError:
    """Return the error for a GPU that is wanted and that torch cannot use."""
    import torch

    cuda = torch.version.cuda
    built = (
        f"it is, for CUDA {cuda}: a driver older than that hides all GPUs" if cuda else "it is not"
    )
    return DeviceError(
        f"{why}, but torch {torch.__version__} sees "
        f"{count or 'no'} GPU{'s' if count > 1 else ''} here.\n"
        f"  Check nvidia-smi, {VISIBLE} ({os.environ.get(VISIBLE, 'not set')}) and that this "
        f"torch is built for CUDA ({built});\n"
        f"  or use the processor: --device cpu, for Snakemake --config device=cpu"
    )


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
