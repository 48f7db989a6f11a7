"""Searches side by side: how good their sub-nets are, what they cost, what finding them took."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.costs import Constraint
from bitswitch.report.analysis import budgets, subnets
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import heading
from bitswitch.report.render.table import Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import entries, remarks
from bitswitch.report.tables.accuracy_table import NOTES as ACCURACY_NOTES
from bitswitch.report.tables.accuracy_table import metric_words, protocols
from bitswitch.report.tables.kind import TableKind, table_of
from bitswitch.spec.search import Budget
from bitswitch.suite.variants import NetworkSpec
from bitswitch.text import duration

Text = Callable[[float], str]

NOTES = (
    "{metric} on the test split, which nothing is chosen on; tuned: after the sub-net "
    "was trained on alone. n counts pairs of a trained network and a seed of the search; searches "
    "that draw nothing have one seed. One width: all layers at the widest bit-width within the "
    "budget, with the same {examples} and recalibration as the sub-net found, not tuned.",
    "Costs of one {example}, of all layers but the first and the last, 32 bits where they stay "
    "float: BitOps, multiply-accumulates times both "
    "bit-widths; size, weights and their scales, 1 kB = 1000 bytes; bits, mean weight bit-width "
    "over layers, then over weights; inputs, mean bit-width of an input element.",
    "Effort for one budget, beyond training the searched network, which all rows share: for "
    "scores, training a network that only the scores need; scores, scoring the layers; search, "
    "with training inside it, all evaluations, and recalibration of batch norms for them; below, "
    "how many sub-nets were evaluated on held-out {examples}; tuning, training the sub-net on; "
    "below, the epochs; total, the sum. Scores that serve several rows or budgets count in full "
    "for each. Times are means; an interrupted search counts once what it had computed. Final "
    "tests and loading are left out; empty: none.",
    "Bold: {best} mean of a budget; this claims no significance.",
)

COUNTED = "Costs count first and last layer too, at their fixed bit-widths."


def _kept(name: str, network: NetworkSpec) -> str:
    """Return what a network keeps at full precision."""
    return f"{name} keeps {', '.join(network.keep)} at full precision."


@dataclass(frozen=True)
class Column:
    """A number that every search has."""

    title: str
    key: str
    """Column of ``subnets.of_experiment``."""
    text: Text
    count: str = ""
    """Column of what is counted in small print below a time."""


def _scaled(factor: float, decimals: int = 2) -> Text:
    return lambda value: f"{value / factor:.{decimals}f}"


FOUND = (
    Column("found", "headline", _scaled(1)),
    Column("tuned", "headline_retrained", _scaled(1)),
    Column("one width", "headline_uniform", _scaled(1)),
)

EFFORT = (
    Column("for scores", "score_training_time_s", duration),
    Column("scores", "scoring_time_s", duration),
    Column("search", "search_time_s", duration, count="evaluations"),
    Column("tuning", "retraining_time_s", duration, count="retraining_epochs"),
    Column("total", "total_time_s", duration),
)


CHEAPER = (
    "No bit-width for all layers costs what the budget allows: this is the widest that costs less"
)

OPTIONAL = {
    "headline_retrained",
    "headline_uniform",
    "latency",
    "score_training_time_s",
    "scoring_time_s",
    "retraining_time_s",
}
"""Keys of columns that are left out where they are empty or zero."""


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment all of whose variants search.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values = Values(frames, experiment)
    found = subnets.of_experiment(frames, experiment)
    builder = _Builder(
        titles={key: variant.title for key, variant in values.recipe.variants.items()},
        budgets=budgets.of_experiment(frames, experiment),
        groups=_groups(found),
    )
    networks = values.networks
    scale = tuple(filter(None, (ACCURACY_NOTES.get(frames.suite.data),)))
    priced = frames.policies[frames.policies.search.isin(set(found.search))]
    is_counted = priced.bitops.notna() & (priced.first_last == "counted")
    counted = (COUNTED,) if is_counted.any() else ()
    specs = frames.suite.networks
    known = [(one.title, specs[one.name]) for one in networks if one.name in specs]
    kept = tuple(_kept(title, spec) for title, spec in known if spec.keep)
    return table_of(
        values,
        name,
        sections=tuple(
            builder.section(network, str(bitset), rows)
            for network in networks
            for bitset, rows in found[found.network == network.name].groupby("bitset", sort=False)
        ),
        notes=(*_notes(values), *counted, *kept, *scale),
        footnotes=builder.footnotes,
    )


def _notes(values: Values) -> list[str]:
    """Return the notes in the words of the metrics."""
    words = metric_words(values)
    first, *between = (note.format(**words) for note in NOTES)
    return [first, *protocols(values), *between, *remarks.stand_ins(values)]


def _groups(found: pd.DataFrame) -> dict[str, list[Column]]:
    """Return the columns by title of their group; those that no search fills are left out.

    The first group, without a title, is about the headline of each network.
    """
    giga = found.bitops.max() >= 1e9
    costs = (
        Column("GBitOps" if giga else "MBitOps", "bitops", _scaled(1e9 if giga else 1e6)),
        Column("kB", "size", _scaled(8000, 1)),
        Column("bits", "average_bits", _scaled(1)),
        Column("bits by weight", "weighted_average_bits", _scaled(1)),
        Column("inputs", "activation_bits", _scaled(1)),
        Column("ms", "latency", _scaled(1)),
    )
    groups = {"": FOUND, "costs": costs, "effort": EFFORT}
    return {
        title: [one for one in group if one.key not in OPTIONAL or _is_filled(found, one.key)]
        for title, group in groups.items()
    }


def _is_filled(found: pd.DataFrame, key: str) -> bool:
    """Return whether a search fills a column; what was tested does, even if all of it collapsed."""
    if key in subnets.TESTED:
        return bool(found[f"{key}_status"].notna().any())
    return bool(found[key].any())


@dataclass
class _Builder:
    """Builds sections; the same reason gets the same footnote in all of them."""

    titles: Mapping[str, str]
    """Of variants, by key."""
    budgets: Mapping[str, Budget]
    groups: Mapping[str, Sequence[Column]]
    footnotes: Footnotes = field(default_factory=Footnotes)

    def section(self, network: Network, bitset: str, rows: pd.DataFrame) -> Section:
        """Return what was found for one bit set of a network."""
        groups = tuple(
            Group(title or heading(network.metric), tuple(column.title for column in columns))
            for title, columns in self.groups.items()
        )
        lines = tuple(
            line
            for name in dict.fromkeys(rows.budget)
            for line in self._lines(name, rows, network.metric)
        )
        return Section(
            f"{network.title}, {bitset}", network.data, groups, lines, network=network.title
        )

    def _lines(self, budget: str, rows: pd.DataFrame, metric: Metric) -> Iterator[Line]:
        """Yield one line per variant; the first one carries the title of the budget."""
        within = rows[rows.budget == budget]
        label = budgets.title(self.budgets[budget])
        best = {key: _best(key, within, metric) for key in subnets.HEADLINES}
        for variant, group in within.groupby("variant", sort=False):
            cells = tuple(
                self._entry(column, group, metric, variant in best.get(column.key, ()))
                for columns in self.groups.values()
                for column in columns
            )
            behind = entries.jobs(group, "search", "searches")
            yield Line(label, self.titles[str(variant)], cells, rule=bool(label), detail=behind)
            label = ""

    def _entry(self, column: Column, rows: pd.DataFrame, metric: Metric, best: bool) -> Entry:
        """Return mean ± standard deviation (n), or a dash with its reason."""
        if column.key in subnets.HEADLINES:
            sample = subnets.sample_of(rows, column.key, metric)
            has_any = sample.total > 0
            return entries.measured(sample if has_any else None, best, self.footnotes)
        if column.key == "headline_uniform":
            return self._uniform(rows, metric)
        values = subnets.values_of(rows, column.key)
        if not values or (column.text is duration and not any(values)):
            return Entry()
        several = len(set(values)) > 1
        spread = float(column.text(stdev(values))) if several and column.text is not duration else 0
        below = f"±{spread:.2g} ({len(values)})" if spread else ""
        if column.text is duration:
            # How long something took varies with the machine: the mean says enough.
            counts = subnets.values_of(rows, column.count) if column.count else ()
            below = f"{fmean(counts):.0f}" if any(counts) else ""
        return Entry(column.text(fmean(values)), below=below, bold=best)

    def _uniform(self, rows: pd.DataFrame, metric: Metric) -> Entry:
        """Return the headline at one bit-width for all layers, and which that is."""
        sample = subnets.sample_of(rows, "headline_uniform", metric)
        rows = rows.dropna(subset="uniform_bits")
        if rows.empty:
            return Entry()
        shown = entries.measured(sample, False, self.footnotes)
        widths = sorted({int(bits) for bits in rows.uniform_bits}, reverse=True)
        below = "/".join(f"w{bits}a{bits}" for bits in widths)
        is_cheaper = (rows.uniform_cost < rows.limit * (1 - Constraint.TOLERANCE)).any()
        marks = (self.footnotes.mark(CHEAPER),) if is_cheaper else ()
        return replace(shown, below=below, tone="muted", marks=(*shown.marks, *marks))


def _best(key: str, rows: pd.DataFrame, metric: Metric) -> set[str]:
    """Return the variants with the best of several different mean headlines.

    Args:
        key: Which headline.
        rows: Of all variants within one budget.
        metric: The headline.
    """
    samples = {
        str(variant): subnets.sample_of(group, key, metric)
        for variant, group in rows.groupby("variant")
    }
    means = {
        variant: metric.sign * round(sample.mean, metric.digits)
        for variant, sample in samples.items()
        if sample.values and sample.is_whole
    }
    highest = max(means.values(), default=0.0)
    return {variant for variant, mean in means.items() if mean == highest > min(means.values())}


KIND = TableKind(build, variants_need="search")
