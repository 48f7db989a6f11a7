"""The words in which claims are judged."""

from dataclasses import dataclass
from typing import Literal

from bitswitch.report.statistics.intervals import Interval

Verdict = Literal[
    "holds",
    "holds, smaller",
    "no difference found",
    "contradicted",
    "not testable",
    "not run",
    "the paper contradicts itself",
]

VERDICTS: dict[Verdict, str] = {
    "holds": "The difference is significant in the claimed direction, and agrees with the printed "
    "size, where there is one, or exceeds it. Of a claim that there is no difference: the interval "
    "lies within the margin. Of a claim of exactness: there is no exception.",
    "holds, smaller": "The difference is significant in the claimed direction, but smaller than "
    "printed: the printed size lies outside the interval, and further away than the noise of the "
    "test set.",
    "no difference found": "The claim was tested, and the test decides neither for nor against it. "
    "The detectable difference says what would have been found in four of five such experiments.",
    "contradicted": "The difference is significant against the claimed direction. Of a claim that "
    "there is no difference: the interval lies beyond the margin. Of a claim of exactness: there "
    "are exceptions.",
    "not testable": "There are too few seeds for a test of so many claims, or none that both sides "
    "share; or the data or the metric are not those of the printed numbers.",
    "not run": "What the claim compares has no results; a command runs it.",
    "the paper contradicts itself": "The text prints one number and its tables give another (see "
    "the errata), so there is no one number to judge.",
}
"""What each verdict means."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on."""

    verdict: Verdict
    why: str
    """One or two sentences."""
    estimate: float | None = None
    """Mean difference over seeds; of exactness, exceptions of all seeds."""
    spread: float | None = None
    """Standard deviation of the differences."""
    seeds: int = 0
    interval: Interval | None = None
    """Of the mean, over seeds, and over examples where they are known."""
    bca: Interval | None = None
    """The bootstrap's over seeds, for comparison."""
    p: float | None = None
    adjusted: float | None = None
    """The p for all tested claims together."""
    detectable: float | None = None
    """The difference that so many seeds find with a chance of ``POWER``."""
    needed: int | None = None
    """Seeds that find the printed size with this chance."""


def said(verdict: Verdict, why: str) -> Judgement:
    """Return a verdict that rests on no measurement: ``not run``, or that of the errata."""
    return Judgement(verdict, why)
