"""Where a part of the benchmark runs, how long it may take, and what it yields."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from bitswitch.results.device_bench import Check, Figure, MeasuredPasses
from bitswitch.results.record import Record


class LeftOut(Record):
    """What was not done, and why."""

    text: str


Finding = Check | Figure | MeasuredPasses | LeftOut
"""What parts yield, one by one, so that all that was found remains where a part breaks off."""

SHORT: dict[str, dict[str, int]] = {
    "kure": {"images": 32, "evaluations": 10},
    "l1-regularization": {"images": 32, "evaluations": 10},
    "ptmq": {"images": 64, "iterations": 5},
    "quept": {"images": 32, "epochs": 1},
}
"""Options of methods that would take minutes after training."""


@dataclass(frozen=True)
class Setting:
    """What a part is told."""

    device: torch.device
    deadline: float
    """On the clock of ``time.monotonic``."""

    @classmethod
    def lasting(cls, device: torch.device, seconds: float) -> "Setting":
        """Return a setting that ends so many seconds from now."""
        return cls(device, time.monotonic() + seconds)

    @property
    def is_trial(self) -> bool:
        """Whether a processor only tries out what a GPU is to do, so that little is enough."""
        return self.device.type != "cuda"

    def has(self, seconds: float) -> bool:
        """Return whether so much time is left."""
        return time.monotonic() + seconds <= self.deadline

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class Stopwatch:
    """Seconds that the things of a part took, so that none is begun that would not end in time."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._longest: dict[str, float] = {}

    def has_time(self, kind: str = "") -> bool:
        """Return whether one more as long as the longest of its kind would end in time."""
        return self.setting.has(self._longest.get(kind, 0.0))

    @contextmanager
    def timed(self, kind: str = "") -> Iterator[None]:
        """Remember how long what runs inside takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            taken = time.monotonic() - began
            self._longest[kind] = max(self._longest.get(kind, 0.0), taken)


def failed(name: str, error: Exception) -> Check:
    """Return the check that ``error`` broke off."""
    text = " ".join(str(error).split())
    return Check(name=name, problem=f"{type(error).__name__}: {text[:300]}")


def within(name: str, error: float, limit: float, what: str) -> Check:
    """Return whether ``error`` is at most ``limit``; NaN is not.

    Args:
        name: Of the check.
        error: What was seen.
        limit: What may be.
        what: Is in error, for the message.
    """
    finite = error == error and abs(error) != float("inf")
    problem = None if error <= limit else f"{what} {error:.3g}, more than {limit:.3g}"
    return Check(name=name, problem=problem, error=error if finite else None, limit=limit)
