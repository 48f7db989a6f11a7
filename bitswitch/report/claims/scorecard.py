"""Every claim about a suite with its verdict, and what that rests on."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

import pandas as pd

from bitswitch.report.claims import costs
from bitswitch.report.claims.evidence import Finding, find
from bitswitch.report.claims.measures import Measures
from bitswitch.report.claims.resolution import (
    NotCovered,
    Pair,
    Spot,
    covering,
    known_claims,
    resolve,
)
from bitswitch.report.claims.vocabulary import NO_EVIDENCE
from bitswitch.report.collect import published
from bitswitch.report.collect.frames import Frames
from bitswitch.report.statistics import Evidence, Judgement, judge_all, said
from bitswitch.suite.claims import ClaimSpec
from bitswitch.types import format_bitset

NAME = "claims.csv"
"""In ``results/<suite>/``."""

SMALL = 1e-9
"""Differences up to which none is seen."""


@dataclass(frozen=True)
class ClaimRow:
    """One claim in the scorecard; numbers are in ``unit``."""

    id: str
    source: str
    statement: str
    kind: str
    like_for_like: str
    """``yes``, or why not."""
    claimed: str
    """What is said of the size, in words."""
    printed: float | None
    """The same as a number; None where only a direction is claimed."""
    unit: str
    estimate: float | None
    """What was measured; of differences, the mean."""
    low: float | None
    """Of the 95 % interval over seeds; this and the next is None where there is none."""
    high: float | None
    bca_low: float | None
    """Of the interval that the bootstrap gives (BCa), from six trainings on; so is the next."""
    bca_high: float | None
    spread: float | None
    """Standard deviation of what the estimate is a mean of; None: of one, or of logarithms."""
    seeds: int
    """Trainings that the estimate is a mean of, over all networks."""
    p: float | None
    adjusted: float | None
    """The p for all tested claims together."""
    found: str
    """What was seen, however uncertain: ``as claimed``, ``against the claim`` or nothing."""
    verdict: str
    why: str
    tables: tuple[str, ...]
    """Experiments whose tables hold the cells."""
    cells: tuple[str, ...]
    """``experiment/network/variant/{bits}/policy``, those that were measured."""
    runs: tuple[str, ...]
    """Identifiers of the runs behind them."""
    missing: int
    """Cells or pairs of cells without a result."""
    command: str | None
    """What runs those, and seeds that are missing; None where nothing is or no suite has it."""
    cost: str
    """What that takes, in words; nothing where it is not known."""


def scorecard(
    frames: Frames, names: Collection[str] = (), suite: str | None = None
) -> list[ClaimRow]:
    """Return the claims of the publication and of the suite with their verdicts, in order.

    All are judged together, whichever are returned.

    Args:
        frames: Collected results.
        names: Identifiers of those to return; none: all.
        suite: What commands call the suite, a path say; None: its name.
    """
    card = _Card(frames, suite or frames.suite.name)
    known = known_claims(frames.suite)
    return [row for row in card.rows(known) if not names or row.id in names]


def table(rows: list[ClaimRow]) -> pd.DataFrame:
    """Return the rows as ``claims.csv`` holds them: lists are joined by blanks."""
    lists = ("tables", "cells", "runs")
    flat = [row.__dict__ | {name: " ".join(getattr(row, name)) for name in lists} for row in rows]
    return pd.DataFrame(flat, columns=list(ClaimRow.__dataclass_fields__))


class _Card:
    """Judges all claims about one suite."""

    def __init__(self, frames: Frames, called: str) -> None:
        self.suite = frames.suite
        self._called = called
        self._measures = Measures(frames)
        self._ended = costs.Ended.of(frames)

    def rows(self, claims: dict[str, ClaimSpec]) -> list[ClaimRow]:
        """Return one row per claim."""
        found = {name: self._find(claim) for name, claim in claims.items()}
        findings = {name: one for name, one in found.items() if isinstance(one, Finding)}
        tested = {name: one for name, one in findings.items() if one.pairs}
        judged = self._judged({name: one.evidence for name, one in tested.items()})
        return [
            self._measured(name, claim, tested[name], judged[name])
            if name in tested
            else self._blank(name, claim, found[name])
            for name, claim in claims.items()
        ]

    def _judged(self, found: dict[str, Evidence]) -> dict[str, Judgement]:
        """Return what evidence says of each claim; of noise, nothing is computed."""
        if self.suite.data == "made-up":
            return dict.fromkeys(found, said("not testable", ""))
        return dict(zip(found, judge_all(list(found.values())), strict=True))

    def _find(self, claim: ClaimSpec) -> Finding | str:
        """Return what was measured, or why the suite has no cells for it."""
        try:
            return find(claim, resolve(claim, self.suite), self._measures)
        except NotCovered as gap:
            return str(gap)

    def _blank(self, name: str, claim: ClaimSpec, found: Finding | str) -> ClaimRow:
        """Return the row of a claim of which nothing was measured."""
        pairs = () if isinstance(found, str) else found.missing
        why = found if isinstance(found, str) else "no run of these cells has ended"
        covered = isinstance(found, Finding)
        contradiction = published.contradiction(claim)
        verdict = said("not run", why)
        if contradiction:
            verdict = said("the paper contradicts itself", f"{contradiction}; not run: {why}")
        row = _stated(name, claim, verdict)
        unit = "" if isinstance(found, str) else found.scale.unit
        other = None if covered else covering(name, self.suite)
        cost = self._cost(name, claim) if covered else costs.elsewhere(name, claim, other)
        command = _command(name, self._called if covered else other)
        return replace(row, unit=unit, missing=len(pairs), command=command, cost=cost)

    def _measured(self, name: str, claim: ClaimSpec, found: Finding, judged: Judgement) -> ClaimRow:
        """Return the row of a claim of which something was measured."""
        read = found.scale.read
        spots = list(dict.fromkeys(spot for pair in found.pairs for spot in pair.spots))
        ends = judged.interval and sorted(map(read, judged.interval))
        bca = judged.bca and sorted(map(read, judged.bca))
        runs = self._measures.runs(spots).values()
        waiting = bool(found.missing or self._waiting(claim, spots))
        row = _stated(name, claim, self._verdict(claim, found, judged))
        none = NO_EVIDENCE.get(self.suite.data)
        evidence = none is None or row.verdict == "the paper contradicts itself"
        return replace(
            row,
            verdict=row.verdict if evidence else str(none),
            unit=found.scale.unit,
            estimate=None if judged.estimate is None else read(judged.estimate),
            low=ends[0] if ends else None,
            high=ends[1] if ends else None,
            bca_low=bca[0] if bca else None,
            bca_high=bca[1] if bca else None,
            spread=None if found.scale.is_ratio else judged.spread,
            seeds=judged.seeds,
            p=judged.p,
            adjusted=judged.adjusted,
            found=_seen(claim, found, judged),
            tables=tuple(dict.fromkeys(spot.experiment for spot in spots)),
            cells=tuple(map(_path, spots)),
            runs=tuple(dict.fromkeys(run for some in runs for run in some)),
            missing=len(found.missing),
            command=_command(name, self._called) if waiting else None,
            cost=self._cost(name, claim) if waiting else "",
        )

    def _waiting(self, claim: ClaimSpec, spots: list[Spot]) -> bool:
        """Return whether more seeds of cells that were measured can be run."""
        return claim.measure != "scoring-time" and bool(self._measures.waiting(spots))

    def _cost(self, name: str, claim: ClaimSpec) -> str:
        """Return what it takes to run what a claim still needs."""
        return costs.remaining(name, claim, self.suite, self._ended)

    def _verdict(self, claim: ClaimSpec, found: Finding, judged: Judgement) -> Judgement:
        """Return a judgement with what overrides it, and all that a reader must know of it."""
        notes = [*found.notes, *self._strangers(claim, found.pairs)]
        if found.missing:
            notes.append(f"{len(found.missing)} of {len(found.missing + found.pairs)} not run")
        if contradiction := published.contradiction(claim):
            seen = NO_EVIDENCE.get(self.suite.data, f"measured: {judged.verdict}")
            why = "; ".join(filter(None, (contradiction, seen, judged.why, *notes)))
            return replace(judged, verdict="the paper contradicts itself", why=why)
        foreign = self._incomparable(claim, found.pairs)
        if foreign:
            return replace(judged, verdict="not testable", why="; ".join((*foreign, *notes)))
        return replace(judged, why="; ".join(filter(None, (judged.why, *notes))))

    def _strangers(self, claim: ClaimSpec, pairs: Collection[Pair]) -> list[str]:
        """Return which networks stand in for printed ones."""
        if claim.left.model is None:
            return []
        titles = {
            self.suite.networks[pair.left.network].title
            for pair in pairs
            if self.suite.networks[pair.left.network].published != claim.left.model
        }
        return [f"{title} stands in" for title in sorted(titles)]

    def _incomparable(self, claim: ClaimSpec, pairs: Collection[Pair]) -> list[str]:
        """Return why the cells of a claim about printed numbers are not comparable with them."""
        if claim.left.table is None or self.suite.data in NO_EVIDENCE:
            return []
        found: dict[str | None, None] = {}
        for pair in pairs:
            networks = self._measures.values(pair.left.experiment).networks
            reasons = {network.name: network.incomparable for network in networks}
            found[reasons.get(pair.left.network)] = None
        return [reason for reason in found if reason]


def _stated(name: str, claim: ClaimSpec, judged: Judgement) -> ClaimRow:
    """Return the row of a claim without anything that was measured."""
    return ClaimRow(
        id=name,
        source=claim.source,
        statement=claim.statement,
        kind=claim.kind,
        like_for_like=claim.unlike or "yes",
        claimed=_claimed(claim),
        printed=claim.printed,
        unit="",
        estimate=None,
        low=None,
        high=None,
        bca_low=None,
        bca_high=None,
        spread=None,
        seeds=0,
        p=None,
        adjusted=None,
        found="",
        verdict=judged.verdict,
        why=judged.why,
        tables=(),
        cells=(),
        runs=(),
        missing=0,
        command=None,
        cost="",
    )


def _claimed(claim: ClaimSpec) -> str:
    """Return what a claim says of a size, in words."""
    if claim.limits:
        minutes = dict.fromkeys(f"{limit:g}" for limit in claim.limits.values())
        return f"at most {' / '.join(minutes)} minutes"
    if claim.margin is not None:
        side = {"better": "at most", "worse": "at least -"}.get(claim.direction or "", "within")
        return f"{side} {claim.margin:g}".replace("- ", "-")
    texts = {
        "margin": f"{claim.printed or 0:+.2f}",
        "magnitude": f"{claim.printed or 0:g} times",
        "cost": f"{claim.printed or 0:g} %",
        "exactness": "no exception",
    }
    return texts.get(claim.kind) or str(claim.direction)


def _seen(claim: ClaimSpec, found: Finding, judged: Judgement) -> str:
    """Return whether what was seen is what is claimed, however uncertain it is."""
    estimate, direction = judged.estimate, found.evidence.direction
    if estimate is None:
        return ""
    if claim.kind == "exactness":
        fits = estimate == 0
    elif claim.margin is not None:
        sizes = {0: abs(estimate), 1: estimate, -1: -estimate}
        fits = sizes[direction] <= claim.margin
    else:
        fits = estimate * direction > SMALL
    return "as claimed" if fits else "against the claim"


def _path(spot: Spot) -> str:
    """Return a cell as a path."""
    experiment, network, variant, bitset, policy = spot
    column = policy.replace(" ", "-")
    return f"{experiment}/{network}/{variant}/{format_bitset(bitset)}/{column}"


def _command(name: str, suite: str | None) -> str | None:
    """Return what runs all that a claim needs."""
    return suite and f"snakemake --cores 2 --config suite={quote(suite)} claims={name}"


def as_json(row: ClaimRow) -> dict[str, Any]:
    """Return a row as one JSON-like object."""
    return {**row.__dict__}
