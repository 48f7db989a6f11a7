"""What rounding twice costs, with its rounding and clipping parts (R6)."""

from collections.abc import Iterator

import pandas as pd

from bitswitch.report.analysis.values import Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Table
from bitswitch.report.tables import deployed
from bitswitch.report.tables.kind import TableKind, table_of

GROUPS = (
    Group("codes that differ, %", ("all", "worst layer")),
    Group("cascade, %", ("codes that differ",)),
    Group("squared error, % of squared weights", ("clipping", "rounded twice", "rounded once")),
    Group("twice over once, %", ("rounding", "both parts", "worst layer")),
)
WIDTH = sum(len(group.columns) for group in GROUPS)

NOTES = (
    "Of the trained networks, all layers that switch, mean over layers and seeds. Twice: narrow "
    "codes from the stored widest ones, as trained and deployed. Once: the same float weights "
    "rounded to the same grid directly, which needs them to be stored.",
    "Cascade: codes that are others where the stored widest ones are rounded bit by bit, each from "
    "its wider neighbour, instead of once. Up to two bits below the widest both are the same.",
    "Clipping: weights beyond the last code, the same for both; rounding: all others. Their sum is "
    "the whole error. Twice over once: how much larger the error is.",
)


def relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``rounding.csv`` with errors in percent of a layer's squared weights.

    New columns: share (of codes that differ, percent), twice and once (both parts of the error).
    """
    parts = ["clipping", "rounding", "rounding_single"]
    errors = rows[parts].mul(100 / rows.signal, axis=0)
    return rows.assign(
        **{part: errors[part] for part in parts},
        share=100 * rows.differing / rows.weights,
        twice=errors.clipping + errors.rounding,
        once=errors.clipping + errors.rounding_single,
    )


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment all of whose variants are deployed.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values, footnotes = Values(frames, experiment), Footnotes()

    def lines(places: pd.DataFrame) -> Iterator[Line]:
        of_runs = frames.deployments[frames.deployments.run.isin(set(places.run))]
        found = frames.rounding[frames.rounding.run.isin(set(places.run))]
        for bits, rows in of_runs.groupby("bits", sort=False):
            layers = found[found.bits == bits]
            known = _entries(layers) if len(layers) else None
            yield Line(f"w{bits}", "", known or deployed.missing(rows, WIDTH, footnotes))

    return table_of(
        values,
        name,
        sections=tuple(deployed.sections(values, lambda _: GROUPS, lines)),
        notes=NOTES,
        footnotes=footnotes,
    )


def _entries(layers: pd.DataFrame) -> tuple[Entry, ...]:
    """Return the entries of one bit-width, from its rows of ``rounding.csv``."""
    found = relative(layers)
    more = 100 * (found.rounding / found.rounding_single - 1)
    whole = 100 * (found.twice / found.once - 1)
    numbers = (
        100 * found.differing.sum() / found.weights.sum(),
        found.share.max(),
        100 * found.cascade_differing.sum(min_count=1) / found.weights.sum(),
        found.clipping.mean(),
        found.rounding.mean(),
        found.rounding_single.mean(),
        more.mean(),
        whole.mean(),
        whole.max(),
    )
    return tuple(Entry(DASH if pd.isna(number) else _digits(number)) for number in numbers)


def _digits(number: float) -> str:
    """Return a percentage with three digits, and no more than three behind the point."""
    return f"{number:.3g}" if number >= 0.001 else f"{number:.3f}".removesuffix(".000")


KIND = TableKind(build, variants_need="deploy")
