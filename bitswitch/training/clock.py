"""Where the time and the energy of a run go, across interruptions."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from bitswitch.training.energy import Energy

if TYPE_CHECKING:
    import torch

Phase = Literal["train", "evaluate", "other"]
KIB_PER_MIB = 1024
METERED_S = 30.0
"""Counters of energy are read at least so often: small ones start again after minutes."""


class Instant(NamedTuple):
    """A point in time, in seconds since some other."""

    wall: float
    cpu: float
    """Spent by this process on all its cores."""

    @classmethod
    def now(cls) -> Self:
        """Return the present."""
        return cls(time.perf_counter(), time.process_time())


class Clock:
    """Adds up the time and the energy spent in each phase, and the peak memory.

    On a processor, time is that of the process: concurrent runs share cores, and wall time would
    measure the others. On a GPU it is wall time.

    Args:
        device: Where the model is.
        began: When the run began.
    """

    def __init__(self, device: "torch.device", began: Instant) -> None:
        self.device = device
        self.on_gpu = device.type == "cuda"
        self.kind = "wall" if self.on_gpu else "cpu"
        self.spent: dict[str, float] = {"train": 0.0, "evaluate": 0.0, "other": 0.0, "wall": 0.0}
        self.energy = Energy(device)
        self._peak_mib = 0.0
        self._phase: Phase = "other"
        self._since = began

    def read(self) -> dict[str, float]:
        """Return seconds by phase, and ``wall``, up to now."""
        now = Instant.now()
        wall, cpu = now.wall - self._since.wall, now.cpu - self._since.cpu
        self.spent[self._phase] += wall if self.on_gpu else cpu
        self.spent["wall"] += wall
        self._since = now
        self.energy.read(self._phase)
        return dict(self.spent)

    def keep_up(self) -> None:
        """Read, if that was long ago; to be called again and again within a long phase."""
        if time.perf_counter() - self._since.wall > METERED_S:
            self.read()

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Count the time inside for ``phase``."""
        before = self._phase
        self.read()
        self._phase = phase
        try:
            yield
        finally:
            self.read()
            self._phase = before

    def peak_memory_mib(self) -> float:
        """Return the peak so far: of allocated GPU memory, or of the process."""
        self._peak_mib = max(self._peak_mib, _peak_memory_mib(self.device))
        return self._peak_mib

    def state_dict(self) -> dict[str, Any]:
        """Return times, energy and peak so far."""
        times = self.read()
        return {**times, "peak_mib": self.peak_memory_mib(), "energy": self.energy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Add what was spent before an interruption."""
        self.energy.load_state_dict(state.get("energy"))
        self._peak_mib = state["peak_mib"]
        for phase in self.spent:
            self.spent[phase] += state[phase]


def _peak_memory_mib(device: "torch.device") -> float:
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / KIB_PER_MIB if sys.platform != "darwin" else peak / 2**20
