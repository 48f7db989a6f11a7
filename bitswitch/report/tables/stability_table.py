"""Whether traces before training still tell sensitive layers late in training (R8), as a table."""

from collections.abc import Iterator
from statistics import fmean

import pandas as pd

from bitswitch.report.analysis.trace_stability import stability
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.statistics import interval
from bitswitch.report.tables import entries
from bitswitch.report.tables.kind import TableKind, table_of

NOTES = (
    "Spearman's rank correlation over layers between the scores of the network before its first "
    "step and those after so many epochs of training with quantization, mean over seeds (n) with "
    "its 95 % interval by Student's t, cut at 1; p: largest over seeds, two-sided, of a "
    "permutation test for one network. "
    "All scores are taken at full precision, from the float weights that training keeps.",
)

TRAINED = -1
"""Stands for the trained network, where epochs are numbers."""


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment whose variants are scored in the course of training.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values = Values(frames, experiment)
    footnotes = Footnotes()
    networks = values.networks
    return table_of(
        values,
        name,
        sections=tuple(_section(values, network, footnotes) for network in networks),
        notes=NOTES,
        footnotes=footnotes,
    )


def _section(values: Values, network: Network, footnotes: Footnotes) -> Section:
    """Return the rows of one network; its columns are the epochs that were scored."""
    frames = values.frames
    uses = frames.sensitivity_uses
    uses = uses[(uses.experiment == values.experiment) & (uses.network == network.name)]
    uses = uses[uses.use == "reported"]
    found = frames.sensitivities[frames.sensitivities.sensitivity.isin(set(uses.sensitivity))]
    wanted = set(found.epoch.fillna(TRAINED).astype(int)) - {0}
    epochs = [*sorted(wanted - {TRAINED}), *({TRAINED} & wanted)]
    compared = stability(found, frames.scores)
    names = tuple("trained" if epoch == TRAINED else f"epoch {epoch}" for epoch in epochs)
    groups = (Group("rank correlation with epoch 0", names), Group("", ("layers",)))
    scored = uses.merge(found.drop(columns=["bitset", "seed"]), on="sensitivity")
    lines = tuple(_lines(values, scored, compared, epochs, footnotes))
    return Section(network.title, network.data, groups, lines, network=network.title)


def _lines(
    values: Values,
    scored: pd.DataFrame,
    compared: pd.DataFrame,
    epochs: list[int],
    footnotes: Footnotes,
) -> Iterator[Line]:
    """Yield one line per variant and sensitivity."""
    for (variant, plugin), rows in scored.groupby(["variant", "plugin"], sort=False):
        own = compared[compared.run.isin(set(rows.run)) & (compared.plugin == plugin)]
        numbers = own.epoch.fillna(TRAINED)
        cells = [_entry(own[numbers == epoch], footnotes) for epoch in epochs]
        layers = "/".join(str(count) for count in dict.fromkeys(own.layers))
        yield Line(
            values.recipe.variants[str(variant)].title,
            str(plugin),
            (*cells, Entry(layers)),
            detail=entries.jobs(rows, "sensitivity", "scored networks"),
        )


def _entry(rows: pd.DataFrame, footnotes: Footnotes) -> Entry:
    """Return the mean of correlations, its interval over seeds (n), and the largest p."""
    good = rows.dropna(subset=["correlation"])
    if good.empty:
        return Entry(DASH, marks=(footnotes.mark("not scored, or too few layers to compare"),))
    found = [float(value) for value in good.correlation]
    below = f"({len(found)}), p={good.p.max():.2g}"
    if (over_seeds := interval(found)) is not None:
        low, high = max(-1.0, over_seeds.low), min(1.0, over_seeds.high)
        below = f"[{low:.2f}, {high:.2f}] {below}"
    return Entry(f"{fmean(found):.2f}", below=below)


KIND = TableKind(build, variants_need="scores")
