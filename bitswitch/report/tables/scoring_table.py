"""What it costs to score the layers of a network, beside what training it costs (R8)."""

import json
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

import pandas as pd

from bitswitch.report.analysis.health import memory
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Entry, Footnotes, Group, Line, Section, Table
from bitswitch.report.tables import entries
from bitswitch.report.tables.accuracy_table import metric_words
from bitswitch.report.tables.kind import TableKind, table_of
from bitswitch.text import duration

TRAINING = (Group("training", ("FP", "joint")), Group("share of it, %", ("FP", "joint")))

NOTES = (
    "Scoring: of all switchable layers, once; time without start and loading, mean ± standard "
    "deviation over seeds (n). Probes: random vectors per {example}. Error: largest standard "
    "error of a layer, as a share of its score.",
    "Training: time of all steps; FP, of the full-precision network that the joint training "
    "starts from; joint, of this row's training. A network with given weights was trained "
    "elsewhere and has no time. Share: of scoring in the time of training.",
)

Entries = tuple[Entry, ...]


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of an experiment whose variants are scored.

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
        sections=tuple(
            Section(
                network.title,
                network.data,
                _groups(values, network),
                tuple(_lines(values, network, footnotes)),
                network=network.title,
            )
            for network in networks
        ),
        notes=[note.format(**metric_words(values)) for note in NOTES],
        footnotes=footnotes,
    )


def _groups(values: Values, network: Network) -> tuple[Group, ...]:
    """Return the columns, those that were seen in the words of the task."""
    seen = f"{values.frames.headlines[network.name].example}s" if network.name else "examples"
    columns = ("layers", seen, "probes", "error, %", "time", "memory")
    return (Group("scoring", columns), *TRAINING)


def _lines(values: Values, network: Network, footnotes: Footnotes) -> Iterator[Line]:
    """Yield one line per variant and sensitivity of a network."""
    uses = values.frames.sensitivity_uses
    uses = uses[(uses.experiment == values.experiment) & (uses.network == network.name)]
    uses = uses[uses.use == "reported"]
    about = values.frames.sensitivities.drop(columns=["bitset", "seed", "run"])
    found = uses.merge(about, on="sensitivity")
    for (variant, plugin), rows in found.groupby(["variant", "plugin"], sort=False):
        label = values.recipe.variants[str(variant)].title
        trained = [_training_times(values, network, one) for one in (str(variant), "float")]
        joint, alone = trained
        cells = _scoring(values.frames, rows, footnotes)
        behind = entries.jobs(rows, "sensitivity", "scored networks")
        if cells is None:
            missing = Entry(DASH, marks=(footnotes.mark("not run to the end"),))
            yield Line(label, str(plugin), (missing, *[Entry()] * 9), detail=behind)
            continue
        time = fmean(rows.time_s.dropna())
        shares = (_share(time, times) for times in (alone, joint))
        shown = (*cells, _time(alone), _time(joint), *shares)
        yield Line(label, str(plugin), shown, detail=behind)


def _scoring(frames: Frames, rows: pd.DataFrame, footnotes: Footnotes) -> Entries | None:
    """Return the entries about scoring, or None where it is not complete."""
    good = rows[rows.status == "complete"]
    if good.empty:
        return None
    facts = [json.loads(text) for text in good.facts.dropna()]
    probes = [fact["probes"] for fact in facts if "probes" in fact]
    scores = frames.scores[frames.scores.sensitivity.isin(set(good.sensitivity))]
    sure = scores[scores.value != 0]
    errors = (sure.standard_error / sure.value.abs()).groupby(sure.sensitivity).max()
    failed = len(rows) - len(good)
    marks = (footnotes.mark(f"{failed} of {len(rows)} seeds are missing"),) if failed else ()
    return (
        Entry(f"{scores.layer.nunique()}"),
        Entry("/".join(f"{images:.0f}" for images in dict.fromkeys(good.images))),
        Entry(f"{fmean(probes):.0f}" if probes else ""),
        Entry(f"{100 * errors.max():.1f}" if errors.max() > 0 else "exact"),
        _time(list(good.time_s), marks),
        Entry(memory(good.peak_memory_mib.max())),
    )


def _training_times(values: Values, network: Network, variant: str) -> list[float]:
    """Return the seconds of training of every run that stands in the rows of ``variant``."""
    rows = values.rows_of(network.name)
    ids = set(rows.loc[rows.variant == variant, "run"].dropna())
    runs = values.frames.runs
    return [float(time) for time in runs.loc[runs.run.isin(ids), "train_time_s"].dropna()]


def _time(seconds: Sequence[float], marks: tuple[str, ...] = ()) -> Entry:
    """Return mean ± standard deviation (n) of times; empty without any."""
    if not seconds:
        return Entry()
    spread = f"±{duration(stdev(seconds))} " if len(seconds) > 1 else ""
    return Entry(duration(fmean(seconds)), below=f"{spread}({len(seconds)})", marks=marks)


def _share(time: float, training: Sequence[float]) -> Entry:
    """Return a time as a percentage of the mean of ``training``."""
    if not training:
        return Entry()
    percent = 100 * time / fmean(training)
    return Entry(f"{percent:.0f}" if percent >= 10 else f"{percent:.2g}")


KIND = TableKind(build, variants_need="scores")
