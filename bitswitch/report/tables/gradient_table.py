"""How much larger weight-scale gradients are at the narrowest bit-width, by reading of Eq. 13."""

from collections.abc import Iterator, Mapping

import pandas as pd

from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect import published
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import entries
from bitswitch.report.tables.kind import TableKind, table_of

CLAIM = "C31"

PRINTED = "printed"
"""Value of a method's option ``gradient`` without the factor 2^(h-b)."""

NOTES = (
    "Mean |gradient| of the weight scales at the narrowest bit-width over that at a wider one: "
    "mean over layers and all training steps, then over seeds (n). Without ALRS.",
    "With the factor: the derivative of the forward pass with respect to the stored scale, "
    "2^(h-b) (W_b - v_b), h the widest bit-width. Divided: the same gradients of the same training "
    "by 2^(h-b), as Eq. 13 is printed; a training that follows it takes other steps, and stands "
    "below where there is one.",
    "All contain the gradient scale of LSQ, 1 / sqrt(weights per scale x largest code), which "
    "alone is 11.3 times as large at 2 bits as at 8.",
)


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of the experiment that compares sizes of scale gradients.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values, footnotes = Values(frames, experiment), Footnotes()
    return table_of(
        values,
        name,
        sections=tuple(
            section
            for network in values.networks
            for section in _sections(values, network, footnotes)
        ),
        notes=NOTES,
        footnotes=footnotes,
    )


def ratios(sizes: Mapping[int, float], factor: bool) -> dict[int, float]:
    """Return the size at the narrowest bit-width over that at each wider one.

    Args:
        sizes: Mean |gradient| by bit-width.
        factor: Whether the factor 2^(h-b) stays; otherwise it is divided out.

    >>> ratios({8: 1.0, 4: 8.0, 2: 64.0}, factor=True), ratios({8: 1.0, 2: 64.0}, factor=False)
    ({8: 64.0, 4: 8.0}, {8: 1.0})
    """
    widest, narrowest = max(sizes), min(sizes)
    kept = {bits: size if factor else size / 2.0 ** (widest - bits) for bits, size in sizes.items()}
    return {bits: kept[narrowest] / kept[bits] for bits in sorted(kept, reverse=True)[:-1]}


def _sections(values: Values, network: Network, footnotes: Footnotes) -> Iterator[Section]:
    """Yield the rows of one network, once for each bit set."""
    rows = values.rows_of(network.name)
    places = rows.loc[
        rows.variant != "float", ["variant", "bitset", "seed", "run"]
    ].drop_duplicates()
    found = places.merge(values.frames.scale_gradients, on="run")
    found = found[found.operand == "weight"]
    for bitset, of_bitset in places.groupby("bitset", sort=False):
        widths = [int(bits) for bits in str(bitset).strip("{}").split(",")]
        columns = tuple(f"{bits} bits" for bits in widths[:-1])
        lines = [_claimed(columns)]
        for variant in of_bitset.variant.unique():
            own = found[(found.variant == variant) & (found.bitset == bitset)]
            lines += _lines(values, str(variant), own, columns, footnotes)
        group = Group(f"{widths[-1]} bits over", columns)
        yield Section(
            f"{network.title}, {bitset}",
            network.data,
            (group,),
            tuple(lines),
            network=network.title,
        )


def _claimed(columns: tuple[str, ...]) -> Line:
    """Return what is printed of all wider bit-widths."""
    claim = published.claims()[CLAIM]
    printed = Entry(f"{claim.printed:g}", tone="published")
    return Line(f"claimed ({claim.source})", "", (printed,) * len(columns))


def _lines(
    values: Values,
    variant: str,
    rows: pd.DataFrame,
    columns: tuple[str, ...],
    footnotes: Footnotes,
) -> Iterator[Line]:
    """Yield the readings of one variant: as trained, and without the factor if it has one."""
    recipe = values.recipe.variants[variant]
    as_printed = recipe.method.options.get("gradient") == PRINTED
    if rows.empty:
        missing = Entry(DASH, marks=(footnotes.mark("not run to the end"),))
        yield Line(recipe.title, "", (missing, *[Entry()] * (len(columns) - 1)))
        return
    sizes = {int(str(bits)): float(one.mean_abs.mean()) for bits, one in rows.groupby("bits")}
    statuses = values.frames.runs[["run", "status"]]
    behind = entries.jobs(rows[["seed", "run"]].merge(statuses, on="run"), "run", "runs")
    seeds = f"({rows.seed.nunique()})"
    for factor in (True,) if as_printed else (True, False):
        found = ratios(sizes, factor)
        cells = tuple(Entry(f"{ratio:.3g}", below=seeds) for ratio in found.values())
        title = recipe.title if factor else "the same, divided by 2^(h-b)"
        yield Line(title, "", cells, detail=behind)


KIND = TableKind(build)
