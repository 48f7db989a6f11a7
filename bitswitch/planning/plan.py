"""What a suite will cost, before anything is computed; needs no data."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from bitswitch.planning.estimates import (
    GPU_FLOPS,
    GPU_FLOPS_16,
    GPU_PASS_S,
    Cost,
    data_bytes,
    estimate,
    estimate_deployment,
    estimate_search,
    estimate_sensitivity,
    is_counted,
    is_scaled,
)
from bitswitch.planning.networks import float_layers
from bitswitch.planning.schedule import Job, Schedule, simulate
from bitswitch.runtime.devices import gpus_for, training_slots
from bitswitch.suite.suite import Suite
from bitswitch.text import duration
from bitswitch.types import FLOAT_BITS


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
    """Full-precision runs, and how many runs start from each."""
    data_bytes: int
    notes: list[str]
    schedule: Schedule
    """Of all jobs, those that wait for others after them."""

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


def make(suite: Suite, device: str = "auto") -> Plan:
    """Return what ``suite`` takes on ``device``."""
    gpu = bool(gpus_for(device))
    runs = {key: estimate(run, device, gpu) for key, run in suite.runs.items()}
    sensitivities = {
        key: estimate_sensitivity(spec, device, gpu) for key, spec in suite.sensitivities.items()
    }
    searches = {key: estimate_search(spec, device, gpu) for key, spec in suite.searches.items()}
    deployments = {
        key: estimate_deployment(run, device, gpu) for key, run in suite.deployments.items()
    }
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
    slots = training_slots(device)
    data = sum(data_bytes(choice) for choice in suite.datasets.values())
    kind = "cuda" if gpu else "cpu"
    notes = _notes(suite, gpu)
    jobs = (runs, sensitivities, searches, deployments)
    schedule = simulate(_waiting(suite, jobs), slots)
    return Plan(suite.name, kind, slots, *jobs, parts, starts, data, notes, schedule)


def _waiting(suite: Suite, costs: tuple[dict[str, Cost], ...]) -> dict[str, Job]:
    """Return all jobs by a name of their own, each with those whose results it reads.

    As the workflow's rules say: a run waits for its start and its guide, a sensitivity for the runs
    that it scores, a search for its run and its scores, a deployment for its run.
    """
    runs, sensitivities, searches, deployments = costs
    jobs: dict[str, Job] = {}
    for key, run in suite.runs.items():
        guide = f"score {run.sensitivity.identifier}" if run.sensitivity else None
        start = f"train {run.start.run_id}" if run.start else None
        jobs[f"train {key}"] = Job(runs[key].time_s, _named(start, guide))
    for key, score in suite.sensitivities.items():
        needs = _named(*(f"train {run.run_id}" for run in score.runs))
        jobs[f"score {key}"] = Job(sensitivities[key].time_s, needs)
    for key, search in suite.searches.items():
        scores = f"score {search.sensitivity.identifier}" if search.sensitivity else None
        needs = _named(f"train {search.run.run_id}", scores)
        jobs[f"search {key}"] = Job(searches[key].time_s, needs)
    for key in suite.deployments:
        jobs[f"deploy {key}"] = Job(deployments[key].time_s, (f"train {key}",))
    return jobs


def _named(*jobs: str | None) -> tuple[str, ...]:
    return tuple(job for job in jobs if job)


def _jobs_of(suite: Suite, experiment: str) -> set[str]:
    """Return the ids of all runs, sensitivities and searches that one experiment needs."""
    cells = [cell for cell in suite.run_cells if cell.experiment == experiment]
    runs = {run.run_id for cell in cells for run in cell.runs}
    scores = {one.identifier for cell in cells for one in cell.sensitivities}
    return runs | scores | {cell.search.identifier for cell in cells if cell.search}


def _deployed_in(suite: Suite, experiment: str) -> set[str]:
    """Return the ids of the runs that one experiment deploys."""
    cells = [cell for cell in suite.run_cells if cell.experiment == experiment]
    return {cell.run.run_id for cell in cells if cell.deploy}


def _sum(costs: Iterable[Cost]) -> Cost:
    return sum(costs, start=Cost(0, 0.0, 0.0, 0))


def _notes(suite: Suite, gpu: bool) -> list[str]:
    """Return what a reader must know about the numbers."""
    notes = ["time: one step per kind of run, measured here on made-up examples"]
    for said, holds in () if gpu else _SMALLER:
        named = {f"{r.model.name} on {r.dataset.name}" for r in suite.runs.values() if holds(r)}
        if named:
            notes.append(f"{said}: {', '.join(sorted(named))}")
    notes.append(
        "memory: of the training run that takes most, at least; weights, gradients, moments of "
        "the optimizer and what one part of a batch keeps"
    )
    notes += sorted(_float_notes(suite))
    if not gpu:
        short = any(run.training.precision == "bfloat16" for run in suite.runs.values())
        halved = f" ({GPU_FLOPS_16 / 1e12:.0f} in training with 16 bits)" if short else ""
        notes.append(
            f"GPU time is assumed, not measured: {GPU_FLOPS / 1e12:.0f} TFLOP/s sustained{halved}, "
            f"and at least {GPU_PASS_S * 1e3:.0f} ms per forward and backward pass"
        )
    return notes


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
    head = ("table", "entries", "runs", "shared", "steps", "time", "GPU hours", "memory", "disk")
    rows: list[tuple[str, ...]] = [head]
    for part in plan.parts.values():
        counts = (str(part.entries), str(part.runs), str(part.shared))
        rows.append((part.title, *counts, *_row(part.cost)))
    shared = sum(1 for run_id in plan.runs if run_id in plan.starts)
    rows.append(("each run once", "", str(len(plan.runs)), "", *_row(plan.total)))
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
    lines += [
        "",
        *([others] if any(jobs.values()) else []),
        f"{wall} with {plan.slots} jobs at once on {plan.device}; at least {longest} with any "
        f"number, as jobs wait for each other:",
        f"  {', then '.join(plan.schedule.chain)}",
        f"{shared} full-precision runs serve {sum(plan.starts.values())} others",
        f"datasets: about {plan.data_bytes / 2**20:,.0f} MiB uncompressed",
        *plan.notes,
    ]
    return "\n".join(lines)


def _row(cost: Cost) -> tuple[str, ...]:
    return (
        f"{cost.steps:,}",
        duration(cost.time_s),
        f"{cost.gpu_time_s / 3600:.1f}",
        f"{cost.memory_bytes / 2**20:,.0f} MiB",
        f"{cost.disk_bytes / 2**20:,.0f} MiB",
    )
