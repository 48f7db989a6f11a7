"""Sub-nets layer by layer, and pairs of equal cost but different accuracy (R9)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from math import hypot, isnan
from typing import Any, NamedTuple

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis import budgets, subnets
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import heading, number
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import entries
from bitswitch.report.tables.entries import signed
from bitswitch.report.tables.kind import TableKind, table_of

CLOSE = 0.01
"""Costs that differ by at most this share count as equal."""


def _subnet_groups(metric: Metric) -> tuple[Group, ...]:
    return (
        Group("", ("bits", "MBitOps", heading(metric), "one width")),
        Group("bit-widths, from the input", ("",) * 4),
    )


def _pair_groups(metric: Metric) -> tuple[Group, ...]:
    return (
        Group("cost", ("one", "other")),
        Group("", ("layers that differ",)),
        Group(heading(metric), ("one", "other", "difference", "noise")),
    )


NOTES = (
    "Sub-nets of the first training seed and of the first seed of each search; bits: mean weight "
    "bit-width over layers; one number per layer, weight/input where they differ. One width: "
    "{spoken} with all layers at the widest bit-width within the budget, tested in the same way.",
    "Pairs: of all sub-nets of one trained network within one budget, the two whose costs differ "
    f"by at most {100 * CLOSE:.0f} % and whose test {{spoken}} differs most. Cost: the one that "
    "the budget limits. Noise: 95 % half-width of the difference, from the size of the test "
    "split alone, the two taken as independent. The largest of many differences exceeds it more "
    "often than one time in twenty.",
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
            title = f"{network.title}, {bitset}"
            listed = tuple(_subnet_lines(values, group, footnotes, network.metric))
            groups = _subnet_groups(network.metric)
            sections.append(Section(title, network.data, groups, listed))
            pairs = tuple(_pair_lines(values, group, network.metric))
            if pairs:
                groups = _pair_groups(network.metric)
                sections.append(Section(f"{title}, pairs", network.data, groups, pairs))
    return table_of(
        values,
        name,
        sections=tuple(sections),
        notes=tuple(note.format(spoken=titles) for note in NOTES),
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
            yield Line(label, values.recipe.variants[row["variant"]].title, cells, rule=bool(label))
            label = ""


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


class Pair(NamedTuple):
    """Two sub-nets of one trained network within one budget."""

    better: dict[Any, Any]
    """Row of ``subnets.of_experiment``."""
    worse: dict[Any, Any]
    differing: int
    """Layers with other bit-widths."""


def widest_pair(frames: Frames, rows: pd.DataFrame, cost: str, metric: Metric) -> Pair | None:
    """Return the pair of sub-nets of equal cost whose headlines differ most, or None.

    Args:
        frames: Collected results.
        rows: Sub-nets of one trained network within one budget.
        cost: Column of the cost.
        metric: The headline.
    """
    rises = metric.better == "lower"
    good = rows[rows.headline.notna()].sort_values("headline", ascending=rises, kind="stable")
    pairs = [
        Pair(better, worse, _differing(frames, better, worse))
        for better, worse in combinations(good.to_dict("records"), 2)
        if abs(better[cost] - worse[cost]) <= CLOSE * max(better[cost], worse[cost])
    ]
    different = [pair for pair in pairs if pair.differing]
    return max(different, key=_difference, default=None)


def _difference(pair: Pair) -> float:
    """Return by how much the better one is better."""
    return abs(float(pair.better["headline"] - pair.worse["headline"]))


def _differing(frames: Frames, one: dict[Any, Any], other: dict[Any, Any]) -> int:
    """Return the number of layers whose bit-widths differ."""
    first, second = (
        subnets.layers_of(frames, row["search"], row["budget"]) for row in (one, other)
    )
    operands = ["weight_bits", "activation_bits"]
    return int((first[operands] != second[operands]).any(axis=1).sum())


def _pair_lines(values: Values, rows: pd.DataFrame, metric: Metric) -> Iterator[Line]:
    """Yield the widest pair per budget and trained network."""
    frames = values.frames
    for name, budget in budgets.of_experiment(frames, values.experiment).items():
        cost = budget.cost.replace("-", "_")
        label = budgets.title(budget)
        for _, group in rows[rows.budget == name].groupby("run", sort=False):
            pair = widest_pair(frames, group.drop_duplicates("search"), cost, metric)
            if pair is not None:
                yield Line(label, _kind(values, pair), _pair(pair, cost, metric))
                label = ""


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
