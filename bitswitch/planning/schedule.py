"""How long jobs take that wait for each other: so many at once, as the workflow runs them."""

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import NamedTuple


class Job(NamedTuple):
    """One job of a suite."""

    time_s: float
    needs: tuple[str, ...] = ()
    """Jobs that must be done before, by name."""


class Schedule(NamedTuple):
    """When everything is done."""

    time_s: float
    """With so many jobs at once; each starts as soon as it can, first come, first served."""
    longest_s: float
    """With any number at once: of the longest chain of jobs that wait for each other."""
    chain: tuple[str, ...]
    """Its jobs, first to last."""


def simulate(jobs: Mapping[str, Job], slots: int) -> Schedule:
    """Return how long ``jobs`` take, ``slots`` of them at once.

    >>> jobs = {"start": Job(2), "a": Job(1, ("start",)), "b": Job(1, ("start",)), "c": Job(1)}
    >>> simulate(jobs, 2)
    Schedule(time_s=3.0, longest_s=3, chain=('start', 'a'))
    >>> simulate(jobs, 1).time_s
    5.0
    """
    order = {name: place for place, name in enumerate(jobs)}
    missing = {name: set(job.needs) for name, job in jobs.items()}
    waiting: dict[str, list[str]] = {name: [] for name in jobs}
    for name, job in jobs.items():
        for need in set(job.needs):
            waiting[need].append(name)
    ready = [(order[name], name) for name in jobs if not missing[name]]
    running: list[tuple[float, int, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            place, name = heappop(ready)
            heappush(running, (now + jobs[name].time_s, place, name))
        now, _, done = heappop(running)
        for name in waiting[done]:
            missing[name].discard(done)
            if not missing[name]:
                heappush(ready, (order[name], name))
    chain = _longest(jobs)
    return Schedule(now, sum(jobs[name].time_s for name in chain), chain)


def _longest(jobs: Mapping[str, Job]) -> tuple[str, ...]:
    """Return the chain of jobs that takes longest, each waiting for the one before."""
    ends: dict[str, float] = {}
    before: dict[str, str | None] = {}

    def end(name: str) -> float:
        if name not in ends:
            before[name] = max(jobs[name].needs, key=end, default=None)
            last = before[name]
            ends[name] = jobs[name].time_s + (0.0 if last is None else end(last))
        return ends[name]

    name = max(jobs, key=end, default=None)
    chain: list[str] = []
    while name is not None:
        chain.append(name)
        name = before[name]
    return tuple(reversed(chain))
