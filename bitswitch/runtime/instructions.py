"""Which instructions of the processor make the numbers: the same on every machine, if it has them.

torch and oneDNN would take the widest vectors there are. Wider ones add up in another order, last
digits differ, and training carries these into all others.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PINNED = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Variables of the environment that torch and oneDNN read once, and what all x86-64 processors of
the last ten years have."""
CPU_INFO = Path("/proc/cpuinfo")


def pin() -> None:
    """Have this process, and those it starts, compute with AVX2: to be called before torch is used.

    Where a variable is set already, somebody has chosen, and where it is not known that the
    processor has AVX2, nothing is pinned.
    """
    if not PINNED.keys() & os.environ.keys() and "avx2" in _flags():
        os.environ.update(PINNED)


def used_on(device: "torch.device") -> str | None:
    """Return what torch computes with on ``device``, e.g. ``AVX2``; None: it is no processor."""
    import torch

    return torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else None


def _flags() -> list[str]:
    """Return what the first processor says that it has; nothing where it does not say so."""
    try:
        with CPU_INFO.open(encoding="utf-8") as lines:
            return next((line.split() for line in lines if line.startswith("flags")), [])
    except OSError:
        return []
