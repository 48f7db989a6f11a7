"""Cells about a pair of searches: their difference over seeds, and the examples behind it."""

from bitswitch.contracts.metric import Metric
from bitswitch.report import statistics
from bitswitch.report.analysis.search_pairs import NOT_KEPT, Compared
from bitswitch.report.render.table import DASH, Entry, Footnotes
from bitswitch.report.tables import entries

COLUMNS = ("difference", "alone right", "p", "adjusted")

NOTE = (
    "Difference: paired by seed of training, each the mean over seeds of the search; below, its "
    "95 % interval over seeds (n). Alone right: test {examples} that one side gets right with more "
    "of its networks than the other, then those of the other; p: of McNemar's exact test, "
    "clustered by {example}: it says whether these networks differ on other {examples}, not "
    "whether networks of other seeds do; adjusted: for all tests of the {family} by Holm's method, "
    "bold up to 0.05."
)


def cells(
    found: Compared | str, p: float | None, metric: Metric, footnotes: Footnotes
) -> tuple[Entry, ...]:
    """Return the entries in ``COLUMNS``, or a dash with the reason why there are none.

    Args:
        found: What was compared, or why nothing was.
        p: Of McNemar's test, adjusted for all.
        metric: The headline.
        footnotes: Get the reasons.
    """
    blank = [Entry()] * (len(COLUMNS) - 1)
    if isinstance(found, str):
        return (Entry(DASH, marks=(footnotes.mark(found),)), *blank)
    difference = entries.over_seeds(found.paired, metric)
    if found.discordant is None:
        return (difference, adjusted(None, footnotes), *blank[1:])
    return (
        difference,
        Entry(f"{found.discordant.left} / {found.discordant.right}"),
        Entry(probability(found.discordant.p), tone="muted"),
        adjusted(p, footnotes),
    )


def adjusted(p: float | None, footnotes: Footnotes) -> Entry:
    """Return an adjusted p, or a dash where nothing could be tested."""
    if p is None:
        return Entry(DASH, marks=(footnotes.mark(NOT_KEPT),))
    return Entry(probability(p), bold=p <= statistics.LEVEL)


def probability(p: float) -> str:
    """Return a p-value as tables print it.

    >>> probability(0.0312), probability(0.0004)
    ('0.031', '<0.001')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"
