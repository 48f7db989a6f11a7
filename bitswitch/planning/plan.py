"""What a suite will cost, before anything is computed; needs no data."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bitswitch.errors import DeviceError
from bitswitch.planning.devices import DEFAULT, known, roofline_note
from bitswitch.planning.estimates import (
    Assumed,
    Clock,
    Cost,
    Here,
    data_bytes,
    estimate,
    estimate_deployment,
    estimate_search,
    estimate_sensitivity,
    is_counted,
    is_scaled,
)
from bitswitch.planning.fitting import too_large
from bitswitch.planning.gpu_hours import GpuHours, Timed, gpu_hours, modes
from bitswitch.planning.gpu_model import GpuModel
from bitswitch.planning.networks import float_layers
from bitswitch.planning.schedule import Schedule, simulate, waiting
from bitswitch.runtime.devices import gpus_for, training_slots
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite
from bitswitch.text import duration
from bitswitch.types import FLOAT_BITS

Jobs = tuple[dict[str, Cost], dict[str, Cost], dict[str, Cost], dict[str, Cost]]
"""Runs, sensitivities, searches, deployments."""


class Part(NamedTuple):
    """A table's share of a suite; runs that several tables use are counted in each."""

    title: str
    entries: int
    runs: int
    shared: int
    """How many of its runs other tables use too."""
    cost: Cost


class Plan(NamedTuple):
    """What a suite takes."""

    suite: str
    device: str
    """``cpu`` or ``cuda``."""
    slots: int
    """Runs trained at once."""
    runs: dict[str, Cost]
    sensitivities: dict[str, Cost]
    searches: dict[str, Cost]
    deployments: dict[str, Cost]
    parts: dict[str, Part]
    starts: Counter[str]
    """Runs that others start from, at full precision or not, and how many start from each."""
    data_bytes: int
    notes: list[str]
    schedule: Schedule
    """Of all jobs, those that wait for others after them."""
    gpu_hours: GpuHours | None = None
    """Of a GPU that is not here; None: times were measured here."""

    @property
    def total(self) -> Cost:
        """The cost of everything, each counted once."""
        return _sum(cost for part in _KINDS for cost in getattr(self, part).values())

    def as_json(self) -> dict[str, Any]:
        """Return the plan as one JSON-like object."""
        return {
            **self._asdict(),
            **{
                kind: {name: cost._asdict() for name, cost in getattr(self, kind).items()}
                for kind in _KINDS
            },
            "parts": {
                name: {**part._asdict(), "cost": part.cost._asdict()}
                for name, part in self.parts.items()
            },
            "total": self.total._asdict(),
            "schedule": self.schedule._asdict(),
            "wall_time_s": self.schedule.time_s,
            "gpu_hours": self.gpu_hours and self.gpu_hours.as_json(),
        }


_SMALLER = (
    (
        "measured at full precision on a few images, and multiplied by images and bit-widths",
        is_scaled,
    ),
    (
        "not measured here: operations of the network, at the rate of a product of matrices",
        is_counted,
    ),
)
"""What is said of runs too big for the processor, and of which."""
_KINDS = ("runs", "sensitivities", "searches", "deployments")
"""Fields of a plan that hold a cost for every job."""


def make(
    suite: Suite, device: str = "auto", assume: str | None = None, runs_per_gpu: int = 1
) -> Plan:
    """Return what ``suite`` takes.

    Args:
        suite: What is planned.
        device: ``auto``, ``cpu``, or a torch device; a GPU need not be here.
        assume: GPU that times are modelled for, instead of measuring here; see ``GpuModel.of``.
            None: only where ``device`` is a GPU and there is none.
        runs_per_gpu: How many runs share a modelled GPU, in the hours of those that do.

    Raises:
        DeviceError: no such device, or nothing is known of it.
    """
    gpus = gpus_for(device)
    model = _modelled(device, assume, bool(gpus))
    gpu = bool(gpus) or model is not None
    clock: Clock = Here(device, gpu) if model is None else Assumed(model)
    jobs = _costs(suite, clock)
    runs, sensitivities, searches, deployments = jobs
    costs = {**runs, **sensitivities, **searches}
    used = dict.fromkeys(cell.experiment for cell in suite.cells)
    using = {name: _jobs_of(suite, name) for name in used}
    tables_of = Counter(run_id for ids in using.values() for run_id in ids)
    parts = {
        name: Part(
            suite.experiments[name].title,
            sum(cell.experiment == name for cell in suite.cells),
            len(ids & set(runs)),
            sum(tables_of[run_id] > 1 for run_id in ids & set(runs)),
            _sum(costs[run_id] for run_id in ids)
            + _sum(deployments[run_id] for run_id in _deployed_in(suite, name)),
        )
        for name, ids in using.items()
    }
    starts = Counter(run.start.run_id for run in suite.runs.values() if run.start)
    slots = training_slots(device) if model is None else 1
    data = sum(data_bytes(choice) for choice in suite.datasets.values())
    kind = "cuda" if gpu else "cpu"
    notes = _notes(suite, gpu) if model is None else _model_notes(suite, model, runs_per_gpu)
    times = ({key: cost.time_s for key, cost in kind.items()} for kind in jobs)
    schedule = simulate(waiting(suite, *times), slots)
    hours = None if model is None else _hours(suite, model, runs_per_gpu, using)
    return Plan(suite.name, kind, slots, *jobs, parts, starts, data, notes, schedule, hours)


def _modelled(device: str, assume: str | None, here: bool) -> GpuModel | None:
    """Return the GPU that times are modelled for; None: they are measured here.

    Raises:
        DeviceError: a GPU is assumed for the processor, or nothing is known of it.
    """
    if assume is None:
        return GpuModel.of(DEFAULT) if device.startswith("cuda") and not here else None
    if device == "cpu":
        raise DeviceError(
            f"--assume {assume} is a GPU, and --device cpu is none.\n  Leave one of them out."
        )
    return GpuModel.of(assume)


def _costs(suite: Suite, clock: Clock) -> Jobs:
    """Return what every job takes: runs, sensitivities, searches, deployments."""
    return (
        {key: estimate(run, clock) for key, run in suite.runs.items()},
        {key: estimate_sensitivity(spec, clock) for key, spec in suite.sensitivities.items()},
        {key: estimate_search(spec, clock) for key, spec in suite.searches.items()},
        {key: estimate_deployment(run, clock) for key, run in suite.deployments.items()},
    )


def _hours(
    suite: Suite, model: GpuModel, runs_per_gpu: int, using: Mapping[str, set[str]]
) -> GpuHours:
    """Return the hours of a modelled GPU, for every way to use it."""
    costs = {way: _costs(suite, Assumed(model, *mode)) for way, mode in modes(runs_per_gpu).items()}
    passing: tuple[dict[str, RunSpec], ...] = (
        dict(suite.runs),
        {key: spec.run for key, spec in suite.sensitivities.items()},
        {key: spec.run for key, spec in suite.searches.items()},
        dict(suite.deployments),
    )
    jobs = {
        _job(place, key): Timed(
            run, {way: found[place][key].gpu_time_s for way, found in costs.items()}
        )
        for place, runs in enumerate(passing)
        for key, run in runs.items()
    }
    deployed = len(passing) - 1
    parts = {
        name: [
            *(
                _job(place, key)
                for place in range(deployed)
                for key in passing[place]
                if key in ids
            ),
            *(_job(deployed, key) for key in _deployed_in(suite, name)),
        ]
        for name, ids in using.items()
    }
    return gpu_hours(model, runs_per_gpu, jobs, parts)


def _job(place: int, key: str) -> str:
    """Return the name of a job: a run may also be deployed."""
    return f"deploy {key}" if _KINDS[place] == "deployments" else key


def _jobs_of(suite: Suite, experiment: str) -> set[str]:
    """Return the ids of all runs, sensitivities and searches that one experiment needs."""
    cells = [cell for cell in suite.run_cells if cell.experiment == experiment]
    return {name for cell in cells for kind, name in cell.jobs if kind != "deployments"}


def _deployed_in(suite: Suite, experiment: str) -> set[str]:
    """Return the ids of the runs that one experiment deploys."""
    cells = [cell for cell in suite.run_cells if cell.experiment == experiment]
    return {cell.run.run_id for cell in cells if cell.deploy}


def _sum(costs: Iterable[Cost]) -> Cost:
    return sum(costs, start=Cost(0, 0.0, 0.0, 0))


def _notes(suite: Suite, gpu: bool) -> list[str]:
    """Return what a reader must know about the numbers."""
    notes = [
        "time: one step per kind of run, measured here on made-up examples; without the making of "
        "data, tables and report"
    ]
    for said, holds in () if gpu else _SMALLER:
        named = {f"{r.model.name} on {r.dataset.name}" for r in suite.runs.values() if holds(r)}
        if named:
            notes.append(f"{said}: {', '.join(sorted(named))}")
    notes += _network_notes(suite)
    if not gpu:
        notes.append(
            "hours of a GPU that is not here: the same command with --assume and one of "
            f"{', '.join(known().devices)}"
        )
    return notes


def _model_notes(suite: Suite, model: GpuModel, runs_per_gpu: int) -> list[str]:
    """Return what a reader must know of modelled numbers, and what does not fit."""
    notes = [
        f"GPU hours are a model of {model.title}; nothing was measured here. Eager: the host "
        f"launches every kernel. Captured: training.compile, kernels launched as one graph. "
        f"x{runs_per_gpu}: so many runs share the GPU. Reading data is not counted",
        *([roofline_note(model.device)] if model.device else []),
        *_network_notes(suite),
    ]
    if model.memory_bytes is not None:
        notes += too_large(suite, model.memory_bytes, model.title, runs_per_gpu)
    return notes


def _network_notes(suite: Suite) -> list[str]:
    """Return what is to be said of memory, and of layers that stay float."""
    memory = (
        "memory: of the training run that takes most, at least; weights, gradients, moments of "
        "the optimizer and what one part of a batch keeps"
    )
    return [memory, *sorted(_float_notes(suite))]


def _float_notes(suite: Suite) -> set[str]:
    """Return what stays at full precision in the networks of a suite."""
    notes = set()
    for run in suite.runs.values():
        found = None if run.is_float else float_layers(run)
        if found and found.names:
            first, rest = found.names[0], len(found.names) - 1
            notes.add(
                f"{run.model.name} on {run.dataset.name}: '{first}'"
                f"{f' and {rest} more' if rest else ''} stay at full precision, "
                f"{100 * found.weights / found.all_weights:.0f} % of the weights; costs count "
                f"them at {FLOAT_BITS} bits"
            )
    return notes


def render(plan: Plan) -> str:
    """Return the plan as text."""
    hours = _hour_columns(plan)
    head = ("table", "entries", "runs", "shared", "steps", *hours.head, "memory", "disk")
    rows: list[tuple[str, ...]] = [head]
    for name, part in plan.parts.items():
        counts = (str(part.entries), str(part.runs), str(part.shared))
        rows.append((part.title, *counts, *_row(part.cost, hours.of(name, part.cost))))
    shared = sum(1 for run_id in plan.runs if run_id in plan.starts)
    starting = sum(plan.starts.values())
    total = _row(plan.total, hours.of(None, plan.total))
    rows.append(("each run once", "", str(len(plan.runs)), "", *total))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    wall, longest = duration(plan.schedule.time_s), duration(plan.schedule.longest_s)
    jobs = {kind: len(getattr(plan, kind)) for kind in _KINDS[1:]}
    others = ", ".join(f"{count} {kind}" for kind, count in jobs.items())
    device = plan.device if plan.gpu_hours is None else plan.gpu_hours.model.title
    lines += [
        "",
        *([others] if any(jobs.values()) else []),
        f"{wall} with {plan.slots} jobs at once on {device}; at least {longest} with any "
        f"number, as jobs wait for each other:",
        f"  {', then '.join(plan.schedule.chain)}",
        f"runs that start from another: {starting}, from {shared} networks",
        f"datasets: about {plan.data_bytes / 2**20:,.0f} MiB uncompressed",
        *plan.notes,
    ]
    return "\n".join(lines)


class _HourColumns(NamedTuple):
    """What a line says of time."""

    head: tuple[str, ...]
    of: Callable[[str | None, Cost], tuple[str, ...]]
    """Of a part, by name, or of all; and what it costs."""


def _hour_columns(plan: Plan) -> _HourColumns:
    """Return what lines say of time: of a modelled GPU, hours for every way to use it."""
    found = plan.gpu_hours
    if found is None:
        return _HourColumns(("time",), lambda name, cost: (duration(cost.time_s),))
    count = found.runs_per_gpu
    head = ("hours eager", "captured", f"eager x{count}", f"captured x{count}", "bound by", "from")

    def of(name: str | None, cost: Cost) -> tuple[str, ...]:
        line = found.total if name is None else found.parts[name]
        bound = f"{line.bound['eager']}, {line.bound['captured']}"
        return (*(f"{hours:.1f}" for hours in line.hours.values()), bound, line.origin)

    return _HourColumns(head, of)


def _row(cost: Cost, hours: tuple[str, ...]) -> tuple[str, ...]:
    return (
        f"{cost.steps:,}",
        *hours,
        f"{cost.memory_bytes / 2**20:,.0f} MiB",
        f"{cost.disk_bytes / 2**20:,.0f} MiB",
    )
