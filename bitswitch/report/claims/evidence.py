"""From pairs of cells to what the statistics judge: one difference per trained network."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import expm1, hypot, log10
from statistics import fmean
from typing import Any

from bitswitch.contracts.metric import Metric
from bitswitch.report.claims.measures import Measures
from bitswitch.report.claims.resolution import Pair, Spot, limit_of
from bitswitch.report.statistics import Discordance, Evidence, discordant
from bitswitch.suite.claims import ClaimSpec

Trained = tuple[str, int]
"""Network and seed: what is trained anew, and so counts once."""


@dataclass(frozen=True)
class Scale:
    """How people read differences."""

    unit: str
    read: Callable[[float], float] = field(default=float)
    """From what is subtracted to what is shown."""
    is_ratio: bool = False
    """Whether logarithms are subtracted, whose standard deviation nobody reads."""


POINTS = Scale("points")
TIMES = Scale("times", lambda power: 10.0**power, is_ratio=True)
PERCENT = Scale("% of the separate cost")
ALLOWED = Scale("% of the claimed time", lambda beyond: 100.0 + beyond)
EXCEPTIONS = Scale("exceptions")


@dataclass(frozen=True)
class Finding:
    """What a suite has measured of a claim."""

    evidence: Evidence
    scale: Scale
    trained: tuple[Trained, ...]
    """What each difference is of."""
    pairs: tuple[Pair, ...]
    """Those that were measured."""
    missing: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    """What a reader of the verdict must know."""


Differences = Mapping[Trained, Sequence[float]]


def find(claim: ClaimSpec, pairs: Sequence[Pair], measures: Measures) -> Finding:
    """Return what was measured at ``pairs``, the cells of a claim."""
    return _FINDERS[claim.measure](claim, pairs, measures)


def _headline(claim: ClaimSpec, pairs: Sequence[Pair], measures: Measures) -> Finding:
    """Compare headlines by seed; larger is better."""
    found, lost = _each(pairs, lambda pair: _difference(measures, pair)), 0
    for spot in {spot for pair in found for spot in pair.spots}:
        lost += measures.headlines(spot).lost
    noises = [hypot(*(measures.headlines(spot).noise for spot in pair.spots)) for pair in found]
    scale = _read(measures.metric(pairs[0].left))
    evidence = Evidence(
        kind="margin" if claim.kind == "margin" else "direction",
        differences=_numbered(_merged(found)),
        direction=_direction(claim),
        printed=claim.printed if claim.kind == "margin" else None,
        noise=max(noises, default=0.0) if claim.kind == "margin" else 0.0,
        discordant=_discordant(measures, list(found)),
        read=scale.read,
        margin=claim.margin,
    )
    failed = f"{_trainings(lost)} collapsed or diverged, counted with what was measured"
    notes = (failed,) if lost else ()
    return _finding(evidence, scale, pairs, found, notes)


def _trainings(count: int) -> str:
    return "one training" if count == 1 else f"{count} trainings"


def _direction(claim: ClaimSpec) -> int:
    """Return the claimed sign of left minus right; 0 where there shall be no difference."""
    if claim.direction is None:
        return 0
    return 1 if claim.direction == "better" else -1


def _read(metric: Metric) -> Scale:
    """Return how differences of a metric are read: those of logarithms in percent."""
    if metric.scale == "linear":
        return POINTS if metric.unit == "percent" else Scale(metric.spoken)
    sign = metric.sign
    return Scale("% better", lambda gain: 100 * sign * expm1(sign * gain), is_ratio=True)


def _difference(measures: Measures, pair: Pair) -> Mapping[int, float]:
    """Return by how much left is better, by seed."""
    return _minus(*(measures.headlines(spot).values for spot in pair.spots))


def _minus(left: Mapping[int, float], right: Mapping[int, float]) -> Mapping[int, float]:
    return {seed: left[seed] - right[seed] for seed in sorted(left.keys() & right.keys())}


def _discordant(measures: Measures, pairs: Sequence[Pair]) -> Discordance | None:
    """Return where the sides differ on the test sets; None where that was not kept.

    All networks of one test set are pooled by example; those of several add up.
    """
    networks = measures.frames.suite.networks
    test_sets: dict[str, list[Pair]] = {}
    for pair in pairs:
        dataset = networks[pair.left.network].dataset
        test_sets.setdefault(dataset.identifier, []).append(pair)
    found = [_on_one_set(measures, group) for group in test_sets.values()]
    known = [one for one in found if one]
    return discordant(*known) if known and len(known) == len(found) else None


def _on_one_set(measures: Measures, pairs: Sequence[Pair]) -> tuple[Any, Any] | None:
    """Return what each side gets right of one test set, [networks, examples]."""
    sides: tuple[list[Any], list[Any]] = ([], [])
    for pair in pairs:
        seeds = _difference(measures, pair)
        for side, spot in zip(sides, pair.spots, strict=True):
            jobs = measures.headlines(spot).jobs
            side += [measures.frames.correct(*job) for seed in seeds for job in jobs[seed][:1]]
    if any(one is None for side in sides for one in side):
        return None
    import numpy as np

    return np.stack(sides[0]), np.stack(sides[1])


def _saving(claim: ClaimSpec, pairs: Sequence[Pair], measures: Measures) -> Finding:
    """Set joint trainings beside separate ones."""
    found: dict[Pair, Mapping[int, float]] = {}
    for _, group in groupby(pairs, key=lambda pair: pair.left.row):
        chosen = list(group)
        savings = measures.savings(chosen)
        found |= dict.fromkeys(chosen, savings) if savings else {}
    evidence = Evidence(
        kind="cost",
        differences=_numbered(_merged(found)),
        direction=1 if claim.direction == "better" else -1,
        printed=claim.printed,
    )
    return _finding(evidence, PERCENT, pairs, found)


def _within(claim: ClaimSpec, pairs: Sequence[Pair], measures: Measures) -> Finding:
    """Set times beside the limits of a claim; a time serves all bit-widths of a row."""
    read = {"scoring-time": measures.scoring_minutes, "search-time": measures.search_minutes}
    found = _each(
        pairs,
        lambda pair: {
            seed: 100 * (minutes / _limit(claim, pair.left, measures) - 1)
            for seed, minutes in read[claim.measure](pair.left).items()
        },
    )
    evidence = Evidence(kind="cost", differences=_numbered(_merged(found)), direction=-1)
    notes = ("times depend on the machine",)
    return _finding(evidence, ALLOWED, pairs, found, notes)


def _limit(claim: ClaimSpec, spot: Spot, measures: Measures) -> float:
    """Return the limit of a network; of one that stands in, the strictest."""
    return limit_of(claim, spot, measures.frames.suite) or min(claim.limits.values())


def _ratio(claim: ClaimSpec, pairs: Sequence[Pair], measures: Measures) -> Finding:
    """Compare sizes of gradients, as logarithms."""
    found = _each(pairs, lambda pair: _minus(*map(measures.gradients, pair.spots)))
    evidence = Evidence(
        kind="magnitude",
        differences=_numbered(_merged(found)),
        direction=1,
        printed=log10(claim.printed or 1.0),
        read=TIMES.read,
    )
    return _finding(evidence, TIMES, pairs, found)


def _exact(claim: ClaimSpec, pairs: Sequence[Pair], measures: Measures) -> Finding:
    """Count exceptions."""
    found = _each(pairs, lambda pair: measures.exceptions(pair.left))
    sums = {trained: [sum(counts)] for trained, counts in _merged(found).items()}
    evidence = Evidence(kind="exactness", differences=_numbered(sums))
    return _finding(evidence, EXCEPTIONS, pairs, found)


_FINDERS: dict[str, Callable[[ClaimSpec, Sequence[Pair], Measures], Finding]] = {
    "headline": _headline,
    "training-time": _saving,
    "scoring-time": _within,
    "search-time": _within,
    "scale-gradient": _ratio,
    "integers": _exact,
}


def _each(
    pairs: Iterable[Pair], measure: Callable[[Pair], Mapping[int, float]]
) -> dict[Pair, Mapping[int, float]]:
    """Return what each pair measured by seed; pairs without any are left out."""
    found = {pair: measure(pair) for pair in pairs}
    return {pair: by_seed for pair, by_seed in found.items() if by_seed}


def _merged(found: Mapping[Pair, Mapping[int, float]]) -> dict[Trained, list[float]]:
    """Return the differences of all pairs by what was trained."""
    merged: dict[Trained, list[float]] = {}
    for pair, by_seed in found.items():
        for seed, value in by_seed.items():
            merged.setdefault((pair.left.network, seed), []).append(value)
    return merged


def _numbered(found: Differences) -> dict[int, float]:
    """Return one difference per training: the mean over its cells."""
    return {at: fmean(values) for at, values in enumerate(found.values())}


def _finding(
    evidence: Evidence,
    scale: Scale,
    pairs: Sequence[Pair],
    found: Mapping[Pair, Mapping[int, float]],
    notes: tuple[str, ...] = (),
) -> Finding:
    missing = tuple(pair for pair in pairs if pair not in found)
    return Finding(evidence, scale, tuple(_merged(found)), tuple(found), missing, notes)
