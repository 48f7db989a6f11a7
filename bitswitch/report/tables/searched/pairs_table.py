"""Every search against one of them, within equal budgets (R5, R14)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from bitswitch.report.analysis import budgets, search_pairs, subnets
from bitswitch.report.analysis.search_pairs import Compared
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import heading
from bitswitch.report.render.table import Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import entries
from bitswitch.report.tables.accuracy_table import metric_words, protocols
from bitswitch.report.tables.kind import TableKind, table_of
from bitswitch.report.tables.searched import pair_cells

NOTES = (
    "Each search minus {reference}, in the same trained networks and within the same budget. Cost: "
    "what the budget limits, mean, in percent of that of {reference}: a search may leave a part of "
    "it. Found: the sub-net as it was found; tuned: after it was trained on alone.",
    pair_cells.NOTE,
)

ROLES = dict(zip(subnets.HEADLINES, ("found", "tuned"), strict=True))
"""What is compared, and its title."""


class Place(NamedTuple):
    """A comparison in the table."""

    network: str
    bitset: str
    budget: str
    variant: str
    role: str


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment all of whose variants search.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite, which names the reference beside it.
        name: Of the table.
    """
    values = Values(frames, experiment)
    builder = _Builder(values, subnets.of_experiment(frames, experiment), _reference(values))
    beside = values.recipe.beside
    words = metric_words(values) | {"family": "table"}
    words["reference"] = _title(values, beside.variant if beside else "")
    return table_of(
        values,
        name,
        sections=[section for network in values.networks for section in builder.sections(network)],
        notes=[*(note.format(**words) for note in NOTES), *protocols(values)],
        footnotes=builder.footnotes,
    )


def _reference(values: Values) -> pd.DataFrame:
    """Return the sub-nets of the reference; none where the suite leaves it out."""
    beside = values.recipe.beside
    if beside is None or beside.experiment not in values.frames.suite.experiments:
        return subnets.of_experiment(values.frames, values.experiment)[:0]
    found = subnets.of_experiment(values.frames, beside.experiment)
    return found[found.variant == beside.variant]


def _title(values: Values, variant: str) -> str:
    """Return the title of a search of this table, or its key."""
    recipe = values.recipe.variants.get(variant)
    return recipe.title if recipe else variant


@dataclass
class _Builder:
    """Builds sections; tests are adjusted for all of them."""

    values: Values
    found: pd.DataFrame
    """Sub-nets, see ``subnets.of_experiment``."""
    reference: pd.DataFrame
    """The same of the reference."""

    def __post_init__(self) -> None:
        self.footnotes = Footnotes()
        beside = self.values.recipe.beside
        own = beside.variant if beside and beside.experiment == self.values.experiment else None
        self.rivals = self.found[self.found.variant != own]
        self.roles = [role for role in ROLES if self.rivals[f"{role}_status"].notna().any()]
        self.compared = dict(self._compare())
        ps = search_pairs.adjusted(list(self.compared.values()))
        self.adjusted = dict(zip(self.compared, ps, strict=True))

    def _compare(self) -> Iterator[tuple[Place, Compared | str]]:
        """Yield every comparison of the table."""
        metrics = {one.name: one.metric for one in self.values.networks}
        keys = ["network", "bitset", "budget", "variant"]
        for place, rows in self.rivals.groupby(keys, sort=False):
            network, bitset, budget, variant = map(str, place)
            other = _at(self.reference, network, bitset, budget)
            for role in self.roles:
                found = search_pairs.compare(
                    self.values.frames, rows, other, role, metrics[network]
                )
                yield Place(network, bitset, budget, variant, role), found

    def sections(self, network: Network) -> Iterator[Section]:
        """Yield one section for every bit set of a network."""
        rows = self.rivals[self.rivals.network == network.name]
        groups = (
            Group("cost", ("%",)),
            *(
                Group(f"{ROLES[role]}: {heading(network.metric)}", pair_cells.COLUMNS)
                for role in self.roles
            ),
        )
        for bitset, of_bitset in rows.groupby("bitset", sort=False):
            lines = tuple(self._lines(of_bitset, network))
            yield Section(
                f"{network.title}, {bitset}", network.data, groups, lines, network=network.title
            )

    def _lines(self, rows: pd.DataFrame, network: Network) -> Iterator[Line]:
        """Yield one line per budget and search; the first one carries the title of the budget."""
        for name, budget in budgets.of_experiment(
            self.values.frames, self.values.experiment
        ).items():
            label = budgets.title(budget)
            for variant, group in rows[rows.budget == name].groupby("variant", sort=False):
                cells = [_cost(group, self.reference, budget.cost.replace("-", "_"))]
                for role in self.roles:
                    place = Place(str(network.name), group.bitset.iloc[0], name, str(variant), role)
                    cells += pair_cells.cells(
                        self.compared[place], self.adjusted[place], network.metric, self.footnotes
                    )
                title = _title(self.values, str(variant))
                behind = entries.jobs(group, "search", "searches")
                yield Line(label, title, tuple(cells), rule=bool(label), detail=behind)
                label = ""


def _at(rows: pd.DataFrame, network: str, bitset: str, budget: str) -> pd.DataFrame:
    """Return the sub-nets at one place."""
    chosen = (rows.network == network) & (rows.bitset == bitset) & (rows.budget == budget)
    return rows[chosen]


def _cost(rows: pd.DataFrame, reference: pd.DataFrame, cost: str) -> Entry:
    """Return the mean cost of sub-nets in percent of that of the reference."""
    first = rows.iloc[0]
    other = _at(reference, first.network, first.bitset, first.budget)[cost].dropna()
    own = rows[cost].dropna()
    return Entry(f"{100 * own.mean() / other.mean():.1f}") if len(own) and len(other) else Entry()


KIND = TableKind(build, variants_need="search", needs_beside=True)
