"""How long jobs take that wait for each other: so many at once, as the workflow runs them."""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from bitswitch.suite.suite import Suite

Times = Mapping[str, float]
"""Seconds that jobs of one kind take, by the identifier of what they make."""


class Job(NamedTuple):
    """One job of a suite."""

    time_s: float
    needs: tuple[str, ...] = ()
    """Jobs that must be done before, by name."""


class Schedule(NamedTuple):
    """When everything is done."""

    time_s: float
    """With so many jobs at once; each starts as soon as it can, the most urgent first."""
    longest_s: float
    """With any number at once: of the longest chain of jobs that wait for each other."""
    chain: tuple[str, ...]
    """Its jobs, first to last."""


def waiting(
    suite: Suite, runs: Times, sensitivities: Times, searches: Times, deployments: Times
) -> dict[str, Job]:
    """Return all jobs by a name of their own, each with those whose results it reads.

    As the workflow's rules say: a run waits for its start and its guide, a sensitivity for the runs
    that it scores, a search for its run and its scores, a deployment for its run.
    """
    jobs: dict[str, Job] = {}
    for key, run in suite.runs.items():
        guide = f"score {run.sensitivity.identifier}" if run.sensitivity else None
        start = f"train {run.start.run_id}" if run.start else None
        jobs[f"train {key}"] = Job(runs[key], _named(start, guide))
    for key, score in suite.sensitivities.items():
        needs = _named(*(f"train {run.run_id}" for run in score.runs))
        jobs[f"score {key}"] = Job(sensitivities[key], needs)
    for key, search in suite.searches.items():
        scores = f"score {search.sensitivity.identifier}" if search.sensitivity else None
        needs = _named(f"train {search.run.run_id}", scores)
        jobs[f"search {key}"] = Job(searches[key], needs)
    for key in suite.deployments:
        jobs[f"deploy {key}"] = Job(deployments[key], (f"train {key}",))
    return jobs


def _named(*jobs: str | None) -> tuple[str, ...]:
    return tuple(job for job in jobs if job)


def remaining(jobs: Mapping[str, Job]) -> dict[str, float]:
    """Return the time from the start of every job to the end of the last one that waits for it.

    >>> remaining({"start": Job(2), "a": Job(1, ("start",)), "b": Job(4, ("start",)), "c": Job(3)})
    {'start': 6, 'a': 1, 'b': 4, 'c': 3}
    """
    after = _followers(jobs)
    left: dict[str, float] = {}

    def of(name: str) -> float:
        if name not in left:
            left[name] = jobs[name].time_s + max(map(of, after[name]), default=0)
        return left[name]

    return {name: of(name) for name in jobs}


def _followers(jobs: Mapping[str, Job]) -> dict[str, list[str]]:
    """Return by every job which ones wait for it."""
    after: dict[str, list[str]] = {name: [] for name in jobs}
    for name, job in jobs.items():
        for need in set(job.needs):
            after[need].append(name)
    return after


def simulate(jobs: Mapping[str, Job], slots: int) -> Schedule:
    """Return how long ``jobs`` take, ``slots`` of them at once, the most urgent first.

    >>> jobs = {"a": Job(1), "b": Job(1), "start": Job(2), "c": Job(2, ("start",))}
    >>> simulate(jobs, 2)
    Schedule(time_s=4.0, longest_s=4, chain=('start', 'c'))
    >>> simulate(jobs, 1).time_s
    6.0
    """
    left, after = remaining(jobs), _followers(jobs)
    order = {name: place for place, name in enumerate(sorted(jobs, key=lambda name: -left[name]))}
    missing = {name: set(job.needs) for name, job in jobs.items()}
    ready = sorted((order[name], name) for name in jobs if not missing[name])
    running: list[tuple[float, int, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            place, name = heappop(ready)
            heappush(running, (now + jobs[name].time_s, place, name))
        now, _, done = heappop(running)
        for name in after[done]:
            missing[name].discard(done)
            if not missing[name]:
                heappush(ready, (order[name], name))
    chain = []
    following: Iterable[str] = jobs
    while link := max(following, key=left.__getitem__, default=None):
        chain.append(link)
        following = after[link]
    return Schedule(now, max(left.values(), default=0.0), tuple(chain))
