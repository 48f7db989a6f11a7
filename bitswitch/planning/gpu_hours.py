"""Hours of a suite on a GPU that is not here, with and without what makes it faster."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bitswitch.planning.devices import Mode
from bitswitch.planning.gpu_model import GpuModel
from bitswitch.spec.run import RunSpec


def modes(runs: int) -> dict[str, Mode]:
    """Return the ways to use a GPU that are compared, by name; so many runs share it."""
    return {
        "eager": Mode(),
        "captured": Mode(captured=True),
        "eager_shared": Mode(runs=runs),
        "captured_shared": Mode(captured=True, runs=runs),
    }


class Timed(NamedTuple):
    """One job."""

    run: RunSpec
    """Whose network passes."""
    time_s: dict[str, float]
    """By way."""


class Hours(NamedTuple):
    """Of a GPU, for one job or many."""

    hours: dict[str, float]
    """By way."""
    bound: dict[str, str]
    """By way, what most of the time waits for: ``flop``, ``bytes``, ``launches``."""
    sources: dict[str, list[str]]
    """By way, where the time of a pass comes from."""

    @property
    def origin(self) -> str:
        """Whether this was measured, modelled, or both."""
        found = {
            source.partition(" ")[0] for sources in self.sources.values() for source in sources
        }
        return "both" if len(found) > 1 else next(iter(found), "")

    def as_json(self) -> dict[str, Any]:
        """Return this as one JSON-like object."""
        return {**self.hours, "bound": self.bound, "sources": self.sources}


class GpuHours(NamedTuple):
    """Of a suite."""

    model: GpuModel
    runs_per_gpu: int
    total: Hours
    parts: dict[str, Hours]
    jobs: dict[str, Hours]

    def as_json(self) -> dict[str, Any]:
        """Return the hours as one JSON-like object."""
        device = self.model.device
        return {
            "device": self.model.name,
            "name": self.model.title,
            "peaks": device and device.model_dump(),
            "runs_per_gpu": self.runs_per_gpu,
            "total": self.total.as_json(),
            "parts": {name: one.as_json() for name, one in self.parts.items()},
            "jobs": {name: one.as_json() for name, one in self.jobs.items()},
        }


def gpu_hours(
    model: GpuModel,
    runs_per_gpu: int,
    jobs: Mapping[str, Timed],
    parts: Mapping[str, Iterable[str]],
) -> GpuHours:
    """Return the hours of a suite.

    Args:
        model: Of the GPU.
        runs_per_gpu: How many runs share it, where they do.
        jobs: All of the suite, by name.
        parts: Names of those that each table needs.
    """
    ways = modes(runs_per_gpu)

    def together(names: Iterable[str]) -> Hours:
        listed = list(names)
        return Hours(
            {way: sum(jobs[name].time_s[way] for name in listed) / 3600 for way in ways},
            {
                way: _bound(model, mode, way, [jobs[name] for name in listed])
                for way, mode in ways.items()
            },
            {
                way: sorted({model.pass_time(jobs[name].run, mode).source for name in listed})
                for way, mode in ways.items()
            },
        )

    return GpuHours(
        model,
        runs_per_gpu,
        together(jobs),
        {name: together(names) for name, names in parts.items()},
        {name: together([name]) for name in jobs},
    )


def _bound(model: GpuModel, mode: Mode, way: str, jobs: Iterable[Timed]) -> str:
    """Return what most of the time of ``jobs`` waits for."""
    waits: Counter[str] = Counter()
    for job in jobs:
        waits[model.pass_time(job.run, mode).bound or "unknown"] += job.time_s[way]  # type: ignore[assignment]
    return max(waits, key=lambda name: waits[name], default="unknown")
