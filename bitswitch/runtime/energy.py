"""What a device has taken in energy, from counters of the hardware; torch only names the device.

A counter is of a whole GPU, or of all packages of processors: it knows no processes. So meters tell
whether others were at work there too.
"""

import os
import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bitswitch.runtime.gpus import visible

if TYPE_CHECKING:
    import torch

Source = Literal["GPU", "processor packages"]
"""What a counter is of."""

POWERCAP = Path("/sys/class/powercap")
STAT = Path("/proc/stat")
ALONE = 0.9
"""Share of the processor time of a machine from which on a process counts as alone there."""
MICRO, MILLI = 1e-6, 1e-3


class MeterError(Exception):
    """Why the energy of a device is not known."""


class Meter(ABC):
    """A counter that runs from when the meter is made."""

    source: ClassVar[Source]

    @abstractmethod
    def read(self) -> float:
        """Return the joules taken since the last call, or since the meter was made.

        Raises:
            MeterError: the counter cannot be read any more.
        """

    @abstractmethod
    def is_shared(self) -> bool:
        """Return whether other processes have had a part in it so far."""


def meter_of(device: "torch.device") -> Meter:
    """Return the meter of a GPU, or of the processors.

    Raises:
        MeterError: there is none, or it cannot be read.
    """
    return GpuMeter(_uuid(device)) if device.type == "cuda" else PackageMeter()


class PackageMeter(Meter):
    """The packages of all processors, idle cores too and memory left out, by RAPL.

    Counters are small and start again from 0 several times an hour: read them every minute.

    Args:
        powercap: Folder of the counters.
        stat: What the machine says of its processor time.
    """

    source = "processor packages"

    def __init__(self, powercap: Path = POWERCAP, stat: Path = STAT) -> None:
        self._packages = _packages(powercap)
        if not self._packages:
            raise MeterError("the processor has no energy counter that the system shows")
        self._ranges = {one: _number(one / "max_energy_range_uj") for one in self._packages}
        self._last = self._counts()
        self._stat = stat
        self._began = time.process_time(), _busy_s(stat)

    def read(self) -> float:
        last, self._last = self._last, self._counts()
        taken = 0
        for package, now in self._last.items():
            since = now - last[package]
            taken += since if since >= 0 else since + self._ranges[package]
        return taken * MICRO

    def is_shared(self) -> bool:
        own, busy = time.process_time() - self._began[0], _busy_s(self._stat) - self._began[1]
        return own < ALONE * busy

    def _counts(self) -> dict[Path, int]:
        return {one: _number(one / "energy_uj") for one in self._packages}


class GpuMeter(Meter):
    """One GPU with its memory, by NVML, which has such a counter since Volta.

    Args:
        uuid: Of the GPU, as the driver writes it.
    """

    source = "GPU"

    def __init__(self, uuid: str) -> None:
        try:
            import pynvml
        except ImportError:
            raise MeterError(
                "nvidia-ml-py is not installed (pip install 'bitswitch[energy]')"
            ) from None
        self._nvml: Any = pynvml
        self._was_shared = False
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError as error:
            raise MeterError(f"NVML does not know the GPU: {error}") from None
        self._last = self._count()

    def read(self) -> float:
        last, self._last = self._last, self._count()
        if self._last < last:
            raise MeterError("the energy counter of the GPU was reset")
        return (self._last - last) * MILLI

    def is_shared(self) -> bool:
        return self._was_shared

    def _count(self) -> int:
        """Return millijoules since the driver was loaded; look who else is there."""
        nvml = self._nvml
        try:
            count = int(nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
            present = nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except nvml.NVMLError as error:
            raise MeterError(f"NVML reads no energy counter of the GPU: {error}") from None
        self._was_shared |= len(present) > 1
        return count


def _uuid(device: "torch.device") -> str:
    """Return what the driver calls a GPU.

    Raises:
        MeterError: it is a part of one, or torch sees none.
    """
    import torch

    if any(gpu.identity.startswith("MIG-") for gpu in visible().gpus):
        raise MeterError("an instance of a divided GPU (MIG) has no energy counter of its own")
    try:
        return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    except (AssertionError, RuntimeError) as error:
        raise MeterError(f"torch does not know the GPU: {error}") from None


def _packages(powercap: Path) -> list[Path]:
    """Return the folders of packages: no parts of them, and no platform that contains them."""
    folders = (one for one in powercap.glob("intel-rapl:*") if re.fullmatch(r"\D+\d+", one.name))
    return sorted(one for one in folders if _text(one / "name").startswith("package"))


def _number(path: Path) -> int:
    try:
        return int(_text(path))
    except ValueError:
        raise MeterError(f"{path} holds no number") from None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise MeterError(f"{path} cannot be read: {error.strerror}") from None


def _busy_s(stat: Path) -> float:
    """Return the seconds that all processors of the machine have worked."""
    user, nice, system, _, _, *others = map(int, _text(stat).split("\n", 1)[0].split()[1:8])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
