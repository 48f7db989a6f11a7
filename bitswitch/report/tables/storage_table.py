"""What storing and training a network takes (R12)."""

from collections.abc import Iterator
from math import isnan
from typing import NamedTuple

import pandas as pd

from bitswitch.report.analysis.health import memory
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import deployed, entries
from bitswitch.report.tables.energy_entry import WH_J, energy
from bitswitch.report.tables.kind import TableKind, table_of
from bitswitch.results.deployments import SWITCHES

FORMS = (
    Group("KiB", ("quantized layers", "rest", "all")),
    Group("of FP32, %", ("quantized layers", "all")),
    Group("switch to it", ("ms",)),
)
TRAINING = (Group("peak memory", ("FP", "joint")), Group("energy, Wh", ("FP", "joint")))
WIDTH = sum(len(group.columns) for group in FORMS)

NOTES = (
    "FP32: all tensors of the full-precision network. One model each: codes of one bit-width side "
    "by side in bytes, one copy of every batch norm. One file: codes of the widest bit-width, the "
    "batch norms of all. Quantized layers: weights or codes, and scales; the first and the last "
    "layer belong to the rest unless they are quantized too. Where rounding may leave the range of "
    "a bit-width, a code beyond it takes a bit more: a title such as w2 alone, 2.05 bits has the "
    "mean; what would say which codes do is not counted.",
    "In memory every code takes a byte; below the widest bit-width, narrow codes stand beside the "
    "stored ones: that is what switching takes in memory. Its time is that of making them, median "
    f"of {SWITCHES} switches from the widest bit-width, or from the narrowest to it; time of the "
    "process on a processor. bitswitch bench switch sets it beside a copy of as many bytes.",
    "Peak memory: the most that training held, of the whole process on a processor, of tensors on "
    "a GPU. Energy: of the training steps, mean over seeds, see Table 5.",
)
SIXTEEN_BITS = (
    "FP16: all tensors of the full-precision network in 16 bits, as large decoders are handed out. "
    "Embedding and head FP16: what one model or file takes with these in 16 bits, where the files "
    "here have 32; counted, not evaluated."
)
NOT_TIMED = (
    "no switch was timed: deployed by an earlier version of bitswitch, or one bit-width only"
)


class Form(NamedTuple):
    """One form of a network."""

    title: str
    quantized: int
    """Bytes of quantized layers."""
    rest: int
    """Of everything else."""
    switch_s: float | None = None
    """Seconds of a switch to it, NaN where that was not measured; None: nothing switches to it."""


def forms(storage: pd.DataFrame, run: str) -> list[Form]:
    """Return all forms of one network.

    Args:
        storage: ``storage.csv``.
        run: Of the network.
    """
    rows = storage[storage.run == run].astype({"beyond": float})
    by_form = {form: group for form, group in rows.groupby("form", sort=False)}
    separate, held = by_form.get("separate", rows[:0]), by_form.get("memory", rows[:0])
    listed = [("FP32", by_form.get("fp32", rows[:0]))]
    for bits, beyond in zip(separate.bits, separate.beyond, strict=True):
        listed.append((_alone(bits, beyond), separate[separate.bits == bits]))
    listed += [("one model each, all", separate), ("one file", by_form.get("file", rows[:0]))]
    listed += [(f"in memory at w{bits:.0f}", held[held.bits == bits]) for bits in held.bits]
    found = [
        Form(title, int(group.quantized.sum()), int(group.rest.sum()), _switch(group))
        for title, group in listed
        if len(group)
    ]
    return [*found, *_in_sixteen_bits(rows)]


def _alone(bits: float, beyond: float) -> str:
    """Return the title of a model of one bit-width."""
    needed = f", {bits + beyond:.2f} bits" if beyond > 0 else ""
    return f"w{bits:.0f} alone{needed}"


def _in_sixteen_bits(rows: pd.DataFrame) -> Iterator[Form]:
    """Yield what forms take whose floats have 16 bits, of a network that reads tokens."""
    for row in rows[rows.embedding_and_head.notna()].to_dict("records"):
        if row["form"] == "fp32":
            yield Form("FP16", row["quantized"] // 2, row["rest"] // 2)
        else:
            alone = row["form"] == "separate"
            title = _alone(row["bits"], row["beyond"]) if alone else "one file"
            rest = row["rest"] - int(row["embedding_and_head"]) // 2
            yield Form(f"{title}, embedding and head FP16", row["quantized"], rest)


def _switch(rows: pd.DataFrame) -> float | None:
    """Return the time of a switch to rows of one form, see ``Form``."""
    return float(rows.switch_s.astype(float).iloc[0]) if rows.form.iloc[0] == "memory" else None


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
        yield from (Line(one.title, "", _entries(one, found[0], footnotes)) for one in found)

    return table_of(
        values,
        name,
        sections=(
            *deployed.sections(values, lambda _: FORMS, lines),
            *_training(values, footnotes),
        ),
        notes=(*NOTES, SIXTEEN_BITS) if _reads_tokens(frames, experiment) else NOTES,
        footnotes=footnotes,
    )


def _reads_tokens(frames: Frames, experiment: str) -> bool:
    """Return whether a network of an experiment does, and what that takes was counted."""
    shown = frames.storage.run.isin(set(deployed.places(frames, experiment).run))
    return bool(frames.storage.embedding_and_head[shown].notna().any())


def _entries(form: Form, full: Form, footnotes: Footnotes) -> tuple[Entry, ...]:
    """Return the entries of one form, beside those at full precision."""
    sizes = (form.quantized, form.rest, form.quantized + form.rest)
    shares = (form.quantized / full.quantized, sizes[-1] / (full.quantized + full.rest))
    texts = [f"{size / 1024:,.1f}" for size in sizes] + [f"{100 * one:.1f}" for one in shares]
    return (*map(Entry, texts), _time(form.switch_s, footnotes))


def _time(switch_s: float | None, footnotes: Footnotes) -> Entry:
    """Return the time of a switch in milliseconds; a dash where it was not measured."""
    if switch_s is None:
        return Entry()
    if isnan(switch_s):
        return Entry(DASH, marks=(footnotes.mark(NOT_TIMED),))
    return Entry(f"{1e3 * switch_s:.2f}")


def _training(values: Values, footnotes: Footnotes) -> Iterator[Section]:
    """Yield the section about training: one line per network and bit set."""
    frames = values.frames
    found = deployed.places(frames, values.experiment)
    lines = []
    for network in values.networks:
        rows = values.rows_of(network.name)
        floats = rows.loc[rows.variant == "float", "run"].dropna().unique()
        for bitset, group in found[found.network == network.name].groupby("bitset", sort=False):
            both = [frames.runs[frames.runs.run.isin(set(ids))] for ids in (floats, group.run)]
            cells = (*map(_peak, both), *(energy(one, WH_J, footnotes) for one in both))
            trained = rows.loc[rows.run.isin(set(group.run)), ["seed", "run"]].drop_duplicates(
                "run"
            )
            behind = entries.jobs(
                trained.merge(both[1][["run", "status"]], on="run"), "run", "runs"
            )
            lines.append(Line(f"{network.title}, {bitset}", "", cells, detail=behind))
    if lines:
        yield Section("training", "", TRAINING, tuple(lines))


def _peak(runs: pd.DataFrame) -> Entry:
    """Return the largest peak of some runs; empty where none has been measured."""
    known = runs.peak_memory_mib.dropna()
    return Entry(memory(known.max())) if len(known) else Entry()


KIND = TableKind(build, variants_need="deploy")
