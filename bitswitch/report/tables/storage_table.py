"""What storing and training a network takes (R12)."""

from collections.abc import Iterable, Iterator

import pandas as pd

from bitswitch.report.analysis.health import memory
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import deployed
from bitswitch.report.tables.kind import TableKind, table_of

FORMS = (
    Group("KiB", ("quantized layers", "rest", "all")),
    Group("of FP32, %", ("quantized layers", "all")),
)
TRAINING = (Group("peak memory", ("FP", "joint")), Group("energy", ("",)))
WIDTH = sum(len(group.columns) for group in FORMS)

NOTES = (
    "FP32: all tensors of the full-precision network. One model each: codes of one bit-width side "
    "by side in bytes, one copy of every batch norm. One file: codes of the widest bit-width, the "
    "batch norms of all. Quantized layers: weights or codes, and scales; the first and the last "
    "layer belong to the rest unless they are quantized too. Where rounding may leave the range of "
    "a bit-width, a code beyond it takes a bit more: a title such as w2 alone, 2.05 bits has the "
    "mean; what would say which codes do is not counted.",
    "In memory every code takes a byte; below the widest bit-width, narrow codes stand beside the "
    "stored ones. That is what switching takes in memory; its time is no result of a suite: "
    "bitswitch bench switch measures it.",
    "Peak memory: the most that training held, of the whole process on a processor, of tensors on "
    "a GPU.",
)
NO_ENERGY = "no power meter is read"


def forms(storage: pd.DataFrame, run: str) -> list[tuple[str, int, int]]:
    """Return (title, bytes of quantized layers, bytes of the rest) of all forms of one network.

    Args:
        storage: ``storage.csv``.
        run: Of the network.
    """
    rows = storage[storage.run == run]
    by_form = {form: group for form, group in rows.groupby("form", sort=False)}
    separate, held = by_form.get("separate", rows[:0]), by_form.get("memory", rows[:0])
    listed = [("FP32", by_form.get("fp32", rows[:0]))]
    for bits, beyond in zip(separate.bits, separate.beyond.fillna(0), strict=True):
        needed = f", {bits + beyond:.2f} bits" if beyond else ""
        listed.append((f"w{bits:.0f} alone{needed}", separate[separate.bits == bits]))
    listed += [("one model each, all", separate), ("one file", by_form.get("file", rows[:0]))]
    listed += [(f"in memory at w{bits:.0f}", held[held.bits == bits]) for bits in held.bits]
    return [
        (title, int(group.quantized.sum()), int(group.rest.sum()))
        for title, group in listed
        if len(group)
    ]


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment all of whose variants are deployed.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values, footnotes = Values(frames, experiment), Footnotes()

    def lines(places: pd.DataFrame) -> Iterator[Line]:
        # Seeds differ in nothing that takes memory.
        found = next((f for f in (forms(frames.storage, run) for run in places.run) if f), None)
        if found is None:
            rows = frames.deployments[frames.deployments.run.isin(set(places.run))]
            yield Line("one file", "", deployed.missing(rows, WIDTH, footnotes))
            return
        for title, quantized, rest in found:
            yield Line(title, "", _sizes(quantized, rest, found[0]))

    return table_of(
        values,
        name,
        sections=(
            *deployed.sections(values, lambda _: FORMS, lines),
            *_training(values, footnotes),
        ),
        notes=NOTES,
        footnotes=footnotes,
    )


def _sizes(quantized: int, rest: int, full: tuple[str, int, int]) -> tuple[Entry, ...]:
    """Return the entries of one form, beside those at full precision."""
    _, weights, others = full
    texts = [f"{size / 1024:,.1f}" for size in (quantized, rest, quantized + rest)]
    shares = (quantized / weights, (quantized + rest) / (weights + others))
    return tuple(map(Entry, (*texts, *(f"{100 * share:.1f}" for share in shares))))


def _training(values: Values, footnotes: Footnotes) -> Iterator[Section]:
    """Yield the section about training: one line per network and bit set."""
    frames = values.frames
    found = deployed.places(frames, values.experiment)
    peaks = frames.runs.set_index("run").peak_memory_mib
    lines = []
    for network in values.networks:
        rows = values.rows_of(network.name)
        floats = rows.loc[rows.variant == "float", "run"].dropna().unique()
        for bitset, group in found[found.network == network.name].groupby("bitset", sort=False):
            sizes = (_peak(peaks, floats), _peak(peaks, group.run.unique()))
            energy = Entry(DASH, marks=(footnotes.mark(NO_ENERGY),))
            lines.append(Line(f"{network.title}, {bitset}", "", (*sizes, energy)))
    if lines:
        yield Section("training", "", TRAINING, tuple(lines))


def _peak(peaks: "pd.Series[float]", runs: Iterable[str]) -> Entry:
    """Return the largest peak of ``runs``; empty where none has been measured."""
    known = peaks.reindex(list(runs)).dropna()
    return Entry(memory(known.max())) if len(known) else Entry()


KIND = TableKind(build, variants_need="deploy")
