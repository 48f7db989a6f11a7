"""Sub-nets layer by layer, and pairs of equal cost but different accuracy (R9)."""

from collections.abc import Iterator
from dataclasses import replace
from math import hypot, isnan
from typing import Any

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis import budgets, equal_costs, search_pairs, subnets
from bitswitch.report.analysis.equal_costs import CLOSE, Pair
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import heading, number
from bitswitch.report.render.table import (
    DASH,
    Detail,
    Entry,
    Footnotes,
    Group,
    Line,
    Section,
    Table,
)
from bitswitch.report.tables import entries
from bitswitch.report.tables.accuracy_table import metric_words
from bitswitch.report.tables.entries import signed
from bitswitch.report.tables.kind import TableKind, table_of
from bitswitch.report.tables.searched import pair_cells


def _subnet_groups(metric: Metric) -> tuple[Group, ...]:
    return (
        Group("", ("bits", "MBitOps", heading(metric), "one width")),
        Group("bit-widths, from the input", ("",) * 4),
    )


def _pair_groups(metric: Metric) -> tuple[Group, ...]:
    return (
        Group("cost", ("one", "other")),
        Group("layers", ("differing",)),
        Group(heading(metric), ("one", "other", "difference", "noise")),
        Group("", ("adjusted p",)),
    )


def _rival_groups(metric: Metric) -> tuple[Group, ...]:
    return (
        Group("cost", ("one", "other")),
        Group("layers", ("differing",)),
        Group(heading(metric), pair_cells.COLUMNS),
    )


NOTES = (
    "Sub-nets of the first training seed and of the first seed of each search; bits: mean weight "
    "bit-width over layers; one number per layer, weight/input where they differ. One width: "
    "{spoken} with all layers at the widest bit-width within the budget, tested in the same way.",
    "Pairs: of all sub-nets of one trained network within one budget, the two whose costs differ "
    f"by at most {100 * CLOSE:.0f} % and whose test {{spoken}} differs most. Cost: the one that "
    "the budget limits. Noise: 95 % half-width of the difference, from the size of the test "
    "split alone, the two taken as independent. The largest of many differences exceeds it more "
    "often than one time in twenty; adjusted p: of McNemar's exact test on the {examples} that "
    "only one of them gets right, by Holm's method for all pairs of that network and budget.",
    "Pairs of searches: all whose sub-nets have costs within this share of each other in every "
    "network. The first minus the second. " + pair_cells.NOTE,
)


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment all of whose variants search.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values = Values(frames, experiment)
    found = subnets.of_experiment(frames, experiment)
    footnotes = Footnotes()
    sections = []
    titles = ", ".join(dict.fromkeys(network.metric.spoken for network in values.networks))
    for network in values.networks:
        rows = found[found.network == network.name]
        for bitset, group in rows.groupby("bitset", sort=False):
            title, metric = f"{network.title}, {bitset}", network.metric
            listed = tuple(_subnet_lines(values, group, footnotes, metric))
            sections.append(
                Section(title, network.data, _subnet_groups(metric), listed, network=network.title)
            )
            if pairs := tuple(_pair_lines(values, group, metric, footnotes)):
                title_of = f"{title}, pairs"
                sections.append(
                    Section(
                        title_of, network.data, _pair_groups(metric), pairs, network=network.title
                    )
                )
            if pairs := tuple(_rival_lines(values, group, metric, footnotes)):
                title_of = f"{title}, pairs of searches"
                sections.append(
                    Section(
                        title_of, network.data, _rival_groups(metric), pairs, network=network.title
                    )
                )
    return table_of(
        values,
        name,
        sections=tuple(sections),
        notes=tuple(
            note.format(spoken=titles, family="section", **metric_words(values)) for note in NOTES
        ),
        footnotes=footnotes,
    )


def _subnet_lines(
    values: Values, rows: pd.DataFrame, footnotes: Footnotes, metric: Metric
) -> Iterator[Line]:
    """Yield one line per budget and variant of the first seed."""
    first = rows[rows.seed == rows.seed.min()].drop_duplicates(["variant", "budget"])
    for name, budget in budgets.of_experiment(values.frames, values.experiment).items():
        label = budgets.title(budget)
        for row in first[first.budget == name].to_dict("records"):
            cells = _subnet(values.frames, row, footnotes, metric)
            title = values.recipe.variants[row["variant"]].title
            behind = _searches(pd.DataFrame([row]))
            yield Line(label, title, cells, rule=bool(label), detail=behind)
            label = ""


def _searches(*found: pd.DataFrame) -> Detail | None:
    """Return what is behind a line about some sub-nets."""
    return entries.jobs(pd.concat(found), "search", "searches")


def _subnet(
    frames: Frames, row: dict[Any, Any], footnotes: Footnotes, metric: Metric
) -> tuple[Entry, ...]:
    """Return the entries of one sub-net."""
    if row["status"] != "complete":
        reason = f"{row['status']}: {row['where']}"
        return (Entry(DASH, marks=(footnotes.mark(reason),)), *[Entry()] * 7)
    found, uniform = (
        entries.measured(subnets.sample_of(pd.DataFrame([row]), role, metric), False, footnotes)
        for role in ("headline", "headline_uniform")
    )
    spelled = subnets.spell(subnets.layers_of(frames, row["search"], row["budget"]))
    numbers = (f"{row['average_bits']:.2f}", f"{row['bitops'] / 1e6:.2f}")
    shown = Entry(found.text, marks=found.marks)
    beside = Entry()
    if not pd.isna(row["uniform_bits"]):
        bits = int(row["uniform_bits"])
        beside = replace(uniform, below=f"w{bits}a{bits}", tone="muted")
    return (*map(Entry, numbers), shown, beside, Entry(spelled, tone="note", span=4))


def _pair_lines(
    values: Values, rows: pd.DataFrame, metric: Metric, footnotes: Footnotes
) -> Iterator[Line]:
    """Yield the widest pair per budget and trained network."""
    frames = values.frames
    for name, budget in budgets.of_experiment(frames, values.experiment).items():
        cost = budget.cost.replace("-", "_")
        label = budgets.title(budget)
        for _, group in rows[rows.budget == name].groupby("run", sort=False):
            pairs = equal_costs.equal_pairs(frames, group.drop_duplicates("search"), cost, metric)
            pair = equal_costs.widest_of(pairs)
            if pair is not None:
                p = _adjusted(frames, pairs, metric)[pairs.index(pair)]
                cells = (*_pair(pair, cost, metric), pair_cells.adjusted(p, footnotes))
                behind = _searches(pd.DataFrame([pair.better, pair.worse]))
                yield Line(label, _kind(values, pair), cells, detail=behind)
                label = ""


def _adjusted(frames: Frames, pairs: list[Pair], metric: Metric) -> list[float | None]:
    """Return McNemar's p of every pair, adjusted for all of them; None: not known."""
    sides = ((pd.DataFrame([one]), pd.DataFrame([other])) for one, other, _ in pairs)
    return search_pairs.adjusted(
        [search_pairs.compare(frames, *both, role="headline", metric=metric) for both in sides]
    )


def _rival_lines(
    values: Values, rows: pd.DataFrame, metric: Metric, footnotes: Footnotes
) -> Iterator[Line]:
    """Yield every pair of searches whose sub-nets cost the same, all tested together."""
    frames, found = values.frames, []
    for name, budget in budgets.of_experiment(frames, values.experiment).items():
        within, cost = rows[rows.budget == name], budget.cost.replace("-", "_")
        for pair in equal_costs.equal_searches(frames, within, cost):
            compared = search_pairs.compare(frames, pair.one, pair.other, "headline", metric)
            found.append((budget, cost, pair, compared))
    ps = search_pairs.adjusted([compared for *_, compared in found])
    before = None
    for (budget, cost, pair, compared), p in zip(found, ps, strict=True):
        sides = (pair.one, pair.other)
        titles = (values.recipe.variants[one.variant.iloc[0]].title for one in sides)
        costs = (Entry(budgets.amount(cost, one[cost].mean())) for one in sides)
        cells = pair_cells.cells(compared, p, metric, footnotes)
        label = "" if budget == before else budgets.title(budget)
        shown = (*costs, Entry(_span(pair.layers)), *cells)
        behind = _searches(*sides)
        yield Line(label, " / ".join(titles), shown, rule=bool(label), detail=behind)
        before = budget


def _span(numbers: list[int]) -> str:
    """Return the least and the largest of some numbers.

    >>> _span([3, 5, 4]), _span([2, 2])
    ('3\N{EN DASH}5', '2')
    """
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}\N{EN DASH}{high}"


def _kind(values: Values, pair: Pair) -> str:
    """Return what stands against what."""
    one, other = (values.recipe.variants[row["variant"]].title for row in pair[:2])
    return f"{one} / {other}, seed {pair.better['seed']}"


def _pair(pair: Pair, cost: str, metric: Metric) -> tuple[Entry, ...]:
    """Return the entries of one pair, its difference in bold where it exceeds a known noise."""
    one, other = pair.better, pair.worse
    costs = (budgets.amount(cost, row[cost]) for row in (one, other))
    first, second = one["headline"], other["headline"]
    difference = first - second
    noise = hypot(one["headline_noise"], other["headline_noise"])
    return (
        *map(Entry, costs),
        Entry(f"{pair.differing}"),
        Entry(number(metric, first)),
        Entry(number(metric, second)),
        Entry(signed(difference, metric.digits), bold=abs(difference) > noise),
        Entry() if isnan(noise) else Entry(number(metric, noise), tone="muted"),
    )


KIND = TableKind(build, variants_need="search")
