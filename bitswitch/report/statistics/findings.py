"""What a tested or untested claim comes to, and why."""

from collections.abc import Sequence
from dataclasses import replace

from bitswitch.report.statistics.agreement import agreement
from bitswitch.report.statistics.evidence import Evidence
from bitswitch.report.statistics.intervals import LEVEL, bca, interval
from bitswitch.report.statistics.power import (
    MOST,
    POWER,
    detectable,
    fewest_seeds,
    seeds_needed,
    smallest_p,
)
from bitswitch.report.statistics.significance import equivalence, sign_flip, student
from bitswitch.report.statistics.verdicts import Judgement, Verdict


def beyond(values: Sequence[float], margin: float, side: int, shared: float) -> float:
    """Return the one-sided p of a mean beyond a margin, on the side or sides in question."""
    above, below = student(values, margin, shared)[0], student(values, -margin, shared)[1]
    return {0: min(above, below), 1: above, -1: below}[side]


def tested(evidence: Evidence, p: float, adjusted: float, tests: int) -> Judgement:
    """Return the verdict on a claim that was tested.

    Args:
        evidence: What was measured.
        p: Of its test alone.
        adjusted: For all tests together.
        tests: How many there are.
    """
    found = replace(_measured(evidence), p=p, adjusted=adjusted, needed=needed(evidence, tests))
    if adjusted > LEVEL:
        return _undecided(evidence, found, tests)
    verdict, why = (_equivalent if evidence.margin is not None else _directed)(evidence)
    return replace(found, verdict=verdict, why=why + _alone(evidence))


def untested(evidence: Evidence, tests: int) -> Judgement:
    """Return the verdict on a claim without a test: of exactness, or of too few seeds.

    Args:
        evidence: What was measured.
        tests: How many claims there would be to test.
    """
    if not evidence.differences:
        return Judgement("not testable", "no seed has results of both sides")
    if evidence.kind == "exactness":
        return _exact(evidence)
    found = replace(_measured(evidence), needed=needed(evidence, tests))
    why = "; ".join(filter(None, (_too_few(evidence, tests), _wish(evidence, found.needed))))
    return replace(found, why=why + _networks(evidence))


def needed(evidence: Evidence, tests: int) -> int | None:
    """Return how many seeds find the printed size, or no difference, with a chance of 80 %."""
    spread = evidence.paired.spread
    size = evidence.printed if evidence.margin is None else evidence.margin
    if spread is None or not size:
        return None
    both = evidence.margin is not None and evidence.direction == 0
    power = (1 + POWER) / 2 if both else POWER
    return seeds_needed(size, spread, tests, power, _shared(evidence))


def _measured(evidence: Evidence) -> Judgement:
    paired = evidence.paired
    return Judgement(
        verdict="not testable",
        why="",
        estimate=paired.mean,
        spread=paired.spread,
        seeds=paired.seeds,
        interval=interval(evidence.values, evidence.shared),
        bca=bca(evidence.values),
    )


def _alone(evidence: Evidence) -> str:
    """Return what to add to a verdict that holds for the examples at hand, for all that is known.

    Sizes of gradients and costs are not measured on a test set.
    """
    is_known = evidence.discordant is not None
    if is_known or evidence.kind not in ("margin", "direction"):
        return ""
    return ", on these examples: of others nothing is known"


def _shared(evidence: Evidence) -> float | None:
    """Return the part of the error over examples that seeds share; None where it is not known."""
    return evidence.discordant.shared if evidence.discordant else None


def _exact(evidence: Evidence) -> Judgement:
    """Return the verdict on a claim that there is no exception: one is enough to refute it."""
    bad = [seed for seed, exceptions in evidence.differences.items() if exceptions]
    seeds = len(evidence.differences)
    verdict: Verdict = "contradicted" if bad else "holds"
    why = f"{len(bad)} of {seeds} seeds have exceptions" if bad else f"none in {_seeds(seeds)}"
    return Judgement(verdict, why, estimate=sum(evidence.values), seeds=seeds)


def _equivalent(evidence: Evidence) -> tuple[Verdict, str]:
    """Return what a significant p says of a claim that there is no difference."""
    margin, side = evidence.margin or 0.0, evidence.direction
    within = equivalence(evidence.values, margin, side, evidence.shared)
    if within < beyond(evidence.values, margin, side, evidence.shared):
        return "holds", f"the interval lies within the margin of {_size(evidence, margin)}"
    return "contradicted", f"the interval lies beyond the margin of {_size(evidence, margin)}"


def _directed(evidence: Evidence) -> tuple[Verdict, str]:
    """Return what a significant p says of a claimed direction and size."""
    if evidence.paired.mean * evidence.direction < 0:
        return "contradicted", "significant in the other direction"
    if evidence.printed is None:
        return "holds", "significant in the claimed direction"
    size = f"the printed {_size(evidence, evidence.printed)}"
    found = agreement(evidence.printed, evidence.values, evidence.noise, evidence.shared)
    if found in ("match", "inconclusive"):
        return "holds", f"{size} agrees with it"
    if (found == "higher") == (evidence.direction > 0):
        return "holds", f"larger than {size}"
    return "holds, smaller", f"smaller than {size}"


def _undecided(evidence: Evidence, found: Judgement, tests: int) -> Judgement:
    """Return the verdict on a claim whose test did not become significant."""
    if evidence.margin is not None:
        margin = _size(evidence, evidence.margin)
        parts = [f"the interval does not lie on one side of the margin {margin}"]
        least = None
    else:
        least = detectable(found.seeds, found.spread or 0.0, tests, _shared(evidence))
        parts = (
            [f"{found.seeds} seeds of this spread would find {_size(evidence, least)}"]
            if least
            else []
        )
        if least and _only_seeds(evidence, tests):
            parts = ["the seeds agree, but on other examples they might not"]
    why = "; ".join(filter(None, (*parts, _wish(evidence, found.needed))))
    return replace(found, verdict="no difference found", why=why, detectable=least)


def _only_seeds(evidence: Evidence, tests: int) -> bool:
    """Return whether a claim would be significant but for its examples."""
    if evidence.discordant is None:
        return False
    return sign_flip(evidence.values) * tests <= LEVEL


def _too_few(evidence: Evidence, tests: int) -> str:
    """Return why a claim cannot be tested."""
    seeds = len(evidence.differences)
    if evidence.kind == "cost":
        return f"{_seeds(seeds)} of a cost, three are needed"
    fewest = fewest_seeds() if evidence.margin is not None else fewest_seeds(tests)
    among = f" among {tests} claims" if tests > 1 and evidence.margin is None else ""
    reach = "one seed reaches" if seeds == 1 else f"{seeds} seeds reach"
    return f"{reach} no p below {smallest_p(seeds):.2g}: a test{among} needs {fewest}"


def _wish(evidence: Evidence, seeds: int | None) -> str:
    """Return how many seeds a claim needs, if that is known and more than there are."""
    size = evidence.printed if evidence.margin is None else evidence.margin
    if evidence.paired.spread is None or not size or (seeds or MOST) <= evidence.paired.seeds:
        return ""
    found = "show no difference" if evidence.margin else f"find the printed {_size(evidence, size)}"
    found += " on this test set" if evidence.discordant else ""
    if seeds is None:
        return f"not even {MOST} seeds of this spread would {found}"
    return f"{seeds} seeds of this spread would {found}"


def _networks(evidence: Evidence) -> str:
    """Return what examples say of the trained networks where seeds say nothing of their methods."""
    if evidence.discordant is None:
        return ""
    left, right, p, _ = evidence.discordant
    differ = "differ" if p <= LEVEL else "do not differ"
    return (
        f"; these networks {differ} on the test set ({left} examples to {right}, McNemar "
        f"p = {p:.2g}), which says nothing of other seeds"
    )


def _seeds(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def _size(evidence: Evidence, value: float) -> str:
    """Return a difference as sentences print it."""
    return f"{evidence.read(value):.3g}"
