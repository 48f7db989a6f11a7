"""Cells about how good networks are: a number with its spread, or a dash with its reason."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report import statistics
from bitswitch.report.analysis.values import Place, Sample, seeds_of
from bitswitch.report.collect import published
from bitswitch.report.collect.headline import number
from bitswitch.report.render.marks import Mark
from bitswitch.report.render.table import DASH, Detail, Entry, Footnotes, Value
from bitswitch.report.statistics import Paired

RATIO_DIGITS = 1
"""Behind the point of a ratio in percent."""


def printed(value: float | None, bold: bool) -> Entry:
    """Return a published value; an empty entry for None."""
    if value is None:
        return Entry()
    return Entry(number(published.metric(), value), tone="published", bold=bold)


def measured(sample: Sample | None, bold: bool, footnotes: Footnotes) -> Entry:
    """Return mean ± standard deviation (n), or a dash; both with the reasons of failed seeds.

    A mean of seeds that survived others is never bold.
    """
    if sample is None:
        return Entry()
    marks = tuple(footnotes.mark(text) for text in reasons(sample))
    about = detail(sample)
    if not sample.values:
        return Entry(DASH, marks=marks, detail=about)
    below = spread(sample.spread, sample.count, sample.metric)
    text = number(sample.metric, sample.mean)
    return Entry(text, below=below, bold=bold and sample.is_whole, marks=marks, detail=about)


def detail(sample: Sample) -> Detail | None:
    """Return what is behind a mean; None where every seed is still missing.

    The interval is that of the mean over trained networks, each the mean of its searches: there is
    none for one network, however many searches it went through.
    """
    if not sample.values and all(status == "missing" for status, _, _ in sample.failed):
        return None
    of = f" of {sample.total}" if sample.failed else ""
    networks = sample.networks
    found = statistics.interval(networks)
    ends = [number(sample.metric, sample.metric.unscaled(end)) for end in found or ()]
    values = (
        Value(
            one.seeds,
            one.status if one.value is None else number(sample.metric, one.value),
            one.job,
        )
        for one in sample.origins
    )
    clusters = ""
    if 1 < len(sample.values) != len(networks):
        clusters = f" of {len(networks)} trained networks"
        if len(networks) == 1:
            clusters = " of one trained network, which gives no interval"
    return Detail(
        f"{len(sample.values)}{of} {sample.unit}{clusters}",
        f"[{', '.join(ends)}]" if ends else "",
        tuple(values),
    )


def jobs(rows: pd.DataFrame, identifier: str, unit: str) -> Detail | None:
    """Return what is behind a line of numbers about jobs; None without any.

    Args:
        rows: With columns seed and status, and search_seed where there is one.
        identifier: Column that names the jobs, each of which is told once.
        unit: What they are.
    """
    found = rows.dropna(subset=identifier).drop_duplicates(identifier).to_dict("records")
    values = tuple(Value(seeds_of(row), str(row["status"]), str(row[identifier])) for row in found)
    return Detail(f"{len(values)} {unit}", values=values) if values else None


def spread(deviation: float | None, count: str, metric: Metric) -> str:
    """Return what stands below a mean: ± one standard deviation (n), or n alone for one value.

    Args:
        deviation: On the metric's scale.
        count: How many values there are.
        metric: Of logarithms, the deviation is printed as a ratio in percent.
    """
    return count if deviation is None else f"±{_amount(deviation, metric)} {count}"


def _amount(size: float, metric: Metric) -> str:
    """Return the size of a difference on the metric's scale."""
    if metric.scale == "linear":
        return f"{size:.{metric.digits}f}"
    return f"{metric.change(size):.{RATIO_DIGITS}f} %"


def reasons(sample: Sample) -> Iterator[str]:
    """Yield one text per way in which seeds of ``sample`` failed.

    Bit-widths of one run share their text where it names all of their values.
    """
    groups: dict[str, list[tuple[str, float | None]]] = defaultdict(list)
    for status, reason, value in sample.failed:
        groups[status].append((reason, value))
    total = sample.total
    for status, failures in groups.items():
        known = [value for _, value in failures if value is not None]
        is_said = len(failures) == len(known) == 1 and (
            f" {sample.metric.text(known[0])}" in failures[0][0]
        )
        at = f" at {sample.metric.text(sample.metric.mean(known))}" if known and not is_said else ""
        left_out = ", left out of the mean" if sample.values else ""
        share = f"{len(failures)} of {total} {sample.unit} " if total > 1 else ""
        yield f"{share}{status}{at}{left_out}{_why([reason for reason, _ in failures])}"


def _why(reasons: list[str]) -> str:
    """Return the first of several reasons, its details left to the list of runs."""
    different = dict.fromkeys(reason.partition(";")[0] for reason in reasons if reason)
    if not different:
        return ""
    return (", e.g.: " if len(different) > 1 else ": ") + next(iter(different))


def difference(sample: Sample | None, value: float | None) -> Entry:
    """Return reproduced minus published; a dash for seeds that survived others."""
    if sample is None or value is None:
        return Entry()
    if not sample.values or not sample.is_whole:
        return Entry(DASH, tone="muted")
    return Entry(signed(sample.mean - value, sample.metric.digits), tone="muted")


def mark(sample: Sample | None, value: float | None, unlike: str | None) -> Mark | None:
    """Return whether a published value agrees with what was measured; None without both.

    Args:
        sample: What was measured.
        value: What is printed of it.
        unlike: Why the two cannot be compared, or None.
    """
    if sample is None or value is None or not sample.values:
        return None
    if unlike or not sample.is_whole or sample.images is None:
        return Mark("not comparable", unlike or "seeds were lost")
    noise = published.noise(value, sample.images)
    found = statistics.agreement(value, list(sample.values.values()), noise)
    return Mark(found) if found else Mark("not comparable", "one seed")


def printed_effect(value: float | None, reference: float | None) -> Entry:
    """Return the difference of two published values."""
    if value is None or reference is None:
        return Entry()
    return Entry(signed(value - reference, published.metric().digits), tone="published")


def measured_effect(effect: Paired | str | None, metric: Metric) -> Entry:
    """Return a paired difference ± its standard deviation (n), and a test of it where one can be.

    Args:
        effect: On the metric's scale, or why there is none to be claimed.
        metric: The headline.
    """
    if effect is None:
        return Entry()
    if isinstance(effect, str):
        return Entry(DASH, tone="muted")
    below = spread(effect.spread, f"({effect.seeds})", metric)
    if effect.p is not None and effect.interval is not None:
        low, high = (_changed(end, metric) for end in effect.interval)
        below += f", [{low}, {high}], p={effect.p:.3f}"
    return Entry(_changed(effect.mean, metric), below=below, tone="muted")


def over_seeds(found: Paired, metric: Metric) -> Entry:
    """Return a paired difference with its interval over seeds (n).

    Args:
        found: On the metric's scale.
        metric: The headline.
    """
    below = f"({found.seeds})"
    if found.interval is not None:
        low, high = (_changed(end, metric) for end in found.interval)
        below = f"[{low}, {high}] {below}"
    return Entry(_changed(found.mean, metric), below=below)


def _changed(difference: float, metric: Metric) -> str:
    """Return a difference on the metric's scale, with its sign; of logarithms, in percent."""
    if metric.scale == "linear":
        return signed(difference, metric.digits)
    return f"{signed(metric.change(difference), RATIO_DIGITS)} %"


def signed(value: float, digits: int) -> str:
    """Return a difference with its sign.

    >>> signed(-0.3, digits=2)
    '\N{MINUS SIGN}0.30'
    """
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def share(value: float | None) -> Entry:
    """Return a share as a percentage."""
    return Entry() if value is None else Entry(f"{100 * value:.0f} %", tone="muted")


def is_best(place: Place, values: Mapping[Place, float], metric: Metric) -> bool:
    """Return whether ``place`` has the best of several different values of its column."""
    column = {key: metric.sign * v for key, v in values.items() if key[1:] == place[1:]}
    return place in column and column[place] == max(column.values()) > min(column.values())
