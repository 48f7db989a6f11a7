"""One stored integer model against the trained network, at every bit-width."""

from collections.abc import Iterator, Mapping

import pandas as pd

from bitswitch.report.analysis.values import Network, Sample, Values
from bitswitch.report.collect.frames import Frames, records
from bitswitch.report.collect.headline import Headline, heading
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Table
from bitswitch.report.tables import deployed, entries
from bitswitch.report.tables.kind import TableKind, table_of

HEADLINES = ("training", "integers", "onnxruntime")
"""Whose headline of the task stands first in a line."""
GROUPS = (
    Group("predictions that differ", ("integers", "of them ties", "onnxruntime")),
    Group("largest difference of logits", ("integers", "onnxruntime")),
    Group("bits of sums", ("seen", "at worst")),
    Group("onnxruntime's kernels", ("integer", "float")),
)
WIDTH = len(HEADLINES) + sum(len(group.columns) for group in GROUPS)

NOTES = (
    "Training: fake quantization, as evaluated after training. Integers: the exported file, whose "
    "codes are narrowed by shifts, with exact sums of products, set against training. Onnxruntime: "
    "the same integers on its processor kernels, set against the exact sums. All predict the whole "
    "test split of every seed; {headline} is the mean over seeds (n), predictions are added up.",
    "Ties: training adds float32 products, and a value that lies on the boundary between two codes "
    "but for rounding may get one code there and the other here; so may two equal logits.",
    "Bits of sums: of a signed integer that holds every partial sum of a layer; seen on the test "
    "split, and at worst with the layer's own codes. 32 are enough where neither is larger.",
    "Kernels: convolutions and products of matrices that onnxruntime computes with integers, and "
    "in floating point; layers that stay at full precision are among the latter.",
)


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment all of whose variants are deployed.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values, footnotes = Values(frames, experiment), Footnotes()
    said = " or ".join(dict.fromkeys(network.metric.spoken for network in values.networks))

    def groups(network: Network) -> tuple[Group, ...]:
        return (Group(heading(network.metric), HEADLINES), *GROUPS)

    def lines(places: pd.DataFrame) -> Iterator[Line]:
        found = frames.deployments[frames.deployments.run.isin(set(places.run))]
        for bits, rows in found.groupby("bits", sort=False):
            yield Line(f"w{bits}a{bits}", "", _entries(rows, frames.headline_of, footnotes))

    return table_of(
        values,
        name,
        sections=tuple(deployed.sections(values, groups, lines)),
        notes=tuple(note.format(headline=said) for note in NOTES),
        footnotes=footnotes,
    )


def _entries(
    rows: pd.DataFrame, headlines: Mapping[str, Headline], footnotes: Footnotes
) -> tuple[Entry, ...]:
    """Return the entries of one bit-width.

    Args:
        rows: Of ``deployments.csv``, one per seed.
        headlines: See ``Frames.headline_of``.
        footnotes: Get reasons.
    """
    good = rows[rows.status == "complete"]
    if good.empty:
        return deployed.missing(rows, WIDTH, footnotes)
    seen = next((headlines[run].example for run in good.run if run in headlines), "example")
    unexplained = int(good.unexplained.sum())
    marks = (
        (footnotes.mark(f"{unexplained} {seen}s differ for another reason than a tie"),)
        if unexplained
        else ()
    )
    fast, fast_differing, fast_difference, *kernels = _by_onnxruntime(rows, headlines, footnotes)
    return (
        _mean(rows, "headline_trained", headlines, footnotes),
        _mean(rows, "headline_integer", headlines, footnotes),
        fast,
        Entry(f"{good.differing.sum():.0f}", below=f"of {good.predictions.sum():.0f}", marks=marks),
        Entry(f"{good.ties.sum():.0f}"),
        fast_differing,
        Entry(f"{good.largest_difference.max():.1e}"),
        fast_difference,
        _bits(good.largest_sum.max()),
        _bits(good.possible_sum.max()),
        *kernels,
    )


def _mean(
    rows: pd.DataFrame, column: str, headlines: Mapping[str, Headline], footnotes: Footnotes
) -> Entry:
    """Return the mean over seeds of the headlines in one column, as every table gives it."""
    values: dict[int, float] = {}
    failed = []
    metric = headlines[rows.run.iloc[0]].metric
    for row in records(rows):
        value = row[column]
        if row["status"] != "complete":
            failed.append((row["status"], row["diagnosis"] or "", None))
        elif value is not None and headlines[row["run"]].is_guess(value):
            failed.append(("collapsed", headlines[row["run"]].guessing, value))
        elif value is not None:
            values[len(values)] = value
    return entries.measured(Sample(values, tuple(failed), None, metric), False, footnotes)


def _by_onnxruntime(
    rows: pd.DataFrame, headlines: Mapping[str, Headline], footnotes: Footnotes
) -> tuple[Entry, ...]:
    """Return the headline, predictions and logits that differ, and kernels of onnxruntime."""
    good = rows[rows.status == "complete"]
    found = good.dropna(subset="headline_onnx")
    if found.empty:
        reason = next(iter(good.no_onnx.dropna()), "not run by onnxruntime").partition("\n")[0]
        return (Entry(DASH, marks=(footnotes.mark(reason),)),) * 3 + (Entry(), Entry())
    return (
        _mean(rows, "headline_onnx", headlines, footnotes),
        Entry(f"{found.onnx_differing.sum():.0f}"),
        Entry(f"{found.onnx_difference.max():.1e}"),
        Entry(f"{found.onnx_integer_kernels.max():.0f}"),
        Entry(f"{found.onnx_float_kernels.max():.0f}"),
    )


def _bits(magnitude: float) -> Entry:
    """Return the bits of a signed integer that holds numbers up to ``magnitude``; 0: no sums."""
    return Entry(f"{int(magnitude).bit_length() + 1}" if magnitude else DASH)


KIND = TableKind(build, variants_need="deploy")
