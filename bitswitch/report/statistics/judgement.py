"""From evidence to verdicts, for all claims of a suite together."""

from collections.abc import Sequence

from bitswitch.report.statistics import findings
from bitswitch.report.statistics.evidence import Evidence
from bitswitch.report.statistics.intervals import LEVEL
from bitswitch.report.statistics.power import fewest_seeds, smallest_p
from bitswitch.report.statistics.significance import equivalence, holm, sign_flip, student
from bitswitch.report.statistics.verdicts import Judgement

TIMED = 3
"""Measurements below which no cost is judged."""


def judge(evidence: Evidence) -> Judgement:
    """Return the verdict on one claim, tested alone."""
    return judge_all([evidence])[0]


def judge_all(evidences: Sequence[Evidence]) -> list[Judgement]:
    """Return the verdicts on claims that are tested together, in the order given.

    The chance of any false verdict among them is at most 5 %: p-values are adjusted by Holm's
    method over those claims that have enough seeds to be significant among so many. Which these
    are depends on numbers of seeds alone (Tarone 1990).
    """
    candidates = [at for at, evidence in enumerate(evidences) if evidence.differences]
    candidates = [at for at in candidates if evidences[at].kind != "exactness"]
    floors = [_smallest_p(evidences[at]) for at in candidates]
    tested = [at for at, floor in zip(candidates, floors, strict=True) if floor <= _level(floors)]
    ps = [p_value(evidences[at]) for at in tested]
    found = {
        at: findings.tested(evidences[at], p, adjusted, len(tested))
        for at, p, adjusted in zip(tested, ps, holm(ps), strict=True)
    }
    return [
        found.get(at) or findings.untested(evidence, len(candidates))
        for at, evidence in enumerate(evidences)
    ]


def _level(floors: Sequence[float]) -> float:
    """Return the level of one test that leaves no more tests than it has to be shared by."""
    return next(
        (
            LEVEL / size
            for size in range(1, len(floors) + 1)
            if sum(floor <= LEVEL / size for floor in floors) <= size
        ),
        LEVEL,
    )


def _smallest_p(evidence: Evidence) -> float:
    """Return the smallest p that the test of a claim can give; 1 where there is no test."""
    seeds = len(evidence.differences)
    if seeds < (TIMED if evidence.kind == "cost" else fewest_seeds()):
        return 1.0
    is_continuous = evidence.kind == "cost" or evidence.margin is not None
    return 0.0 if is_continuous else smallest_p(seeds)


def p_value(evidence: Evidence) -> float:
    """Return the two-sided p of what a claim says of a difference.

    Of costs and margins it is Student's. Else it is that of a sign-flip test over seeds; where the
    examples are known too, the largest of it, of McNemar's clustered by example, and of Student's
    over both: a difference has to survive other seeds, other examples, and both at once.
    """
    values, shared = evidence.values, evidence.shared
    if evidence.margin is not None:
        side, margin = evidence.direction, evidence.margin
        within = equivalence(values, margin, side, shared)
        return min(1.0, 2 * min(within, findings.beyond(values, margin, side, shared)))
    both = min(1.0, 2 * min(student(values, shared=shared)))
    if evidence.kind == "cost":
        return both
    p = sign_flip(values)
    return p if evidence.discordant is None else max(p, evidence.discordant.p, both)
