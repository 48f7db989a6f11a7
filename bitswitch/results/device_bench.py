"""What `bitswitch bench gpu` found out about one device: checks, figures, and seconds per step.

Files of GPUs lie in ``results/reference/gpu/`` of the repository, each called after its device.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from bitswitch.errors import RecordError
from bitswitch.results.record import Record

REFERENCE = Path("results", "reference", "gpu")
"""Below the top folder of a clone."""


def slug(device: str) -> str:
    """Return what the file of ``device`` is called, without its ending.

    >>> slug("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


class MeasuredPasses(Record):
    """What one training step takes: all of its passes, and the updates of the parameters."""

    model: str
    model_options: dict[str, object] = Field(default_factory=dict)
    """Those of the run without pretrained weights, which decide no time."""
    dataset: str
    method: str
    bitset: tuple[int, ...]
    batch_size: PositiveInt
    precision: str
    compile: bool
    """Whether passes are compiled, and on a GPU captured and replayed."""
    passes: PositiveFloat
    """Of one step, on average over the steps that were measured."""
    step_s: PositiveFloat
    peak_memory_mib: NonNegativeFloat
    """Of the network, its optimizers and a step, as the allocator counts."""
    energy_j: NonNegativeFloat | None = None
    """Of a step; None: not known."""

    @property
    def pass_s(self) -> float:
        """Seconds per pass."""
        return self.step_s / self.passes


class Check(Record):
    """Whether something is right on the device."""

    name: str
    problem: str | None = None
    """None: it is."""
    error: float | None = None
    """The largest that was seen, to be held against ``limit``; None: nothing was compared."""
    limit: float | None = None


class Figure(Record):
    """One number that was measured."""

    name: str
    value: float
    unit: str


class PartResult(Record):
    """One part of the benchmark."""

    name: str
    seconds: float
    checks: tuple[Check, ...] = ()
    figures: tuple[Figure, ...] = ()
    left_out: tuple[str, ...] = ()
    """What was not done, and why."""
    problem: str | None = None
    """Why the part broke off; None: it did not."""

    @property
    def failures(self) -> list[str]:
        """What is wrong, a sentence each."""
        failed = [f"{one.name}: {one.problem}" for one in self.checks if one.problem]
        return [*failed, *([self.problem] if self.problem else [])]


class DeviceBench(Record):
    """The whole file."""

    device: str
    """What it is sold as."""
    device_type: Literal["cuda", "cpu"]
    """A processor is only there to try the benchmark out."""
    driver: str | None
    cuda: str | None
    """Release that torch was built for."""
    torch: str
    python: str
    bitswitch_version: str | None
    commit: str | None
    commit_unknown: str | None = None
    code_hash: str
    """Of the code that decides the numbers of training."""
    started: str
    minutes: PositiveFloat
    """Time limit."""
    seconds: float
    """Taken."""
    passes: tuple[MeasuredPasses, ...]
    parts: tuple[PartResult, ...]

    @property
    def failures(self) -> list[str]:
        """All that is wrong."""
        return [f"{part.name}: {failure}" for part in self.parts for failure in part.failures]


def check_place(path: Path, device: str, kind: str) -> None:
    """Refuse a place in ``results/reference/gpu`` to what is no GPU, or another one.

    Args:
        path: Of the file.
        device: What is measured.
        kind: ``cuda`` or ``cpu``.

    Raises:
        RecordError: it must not lie there.
    """
    folder = path.resolve().parent
    if folder.parts[-len(REFERENCE.parts) :] != REFERENCE.parts:
        return
    if kind != "cuda":
        raise RecordError(
            f"{path} is for measurements of a GPU, and '{device}' is a processor.\n"
            f"  Write what was tried out here elsewhere: --out tried.json"
        )
    if path.name != f"{slug(device)}.json":
        raise RecordError(
            f"{path} must be called after its device.\n  Name the folder alone: --out {REFERENCE}"
        )
