"""Variants by bit-widths: the printed tables in their own layout, and every other experiment."""

from bitswitch.report.analysis.values import Values
from bitswitch.report.collect import headline, published
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import Footnotes, Section, Table
from bitswitch.report.tables import conditions, remarks, search_conditions
from bitswitch.report.tables.accuracy_section import NEGATIVE, RECALIBRATED, UNIFORM, SectionBuilder
from bitswitch.report.tables.kind import TableKind, table_of

NOTES = {
    "always": "{metric} on the test split after the last epoch, mean over seeds (n).",
    "ratio": "Means over seeds are those of logarithms; ± and differences are ratios, in percent.",
    "bold": "Bold: {best} mean of a network in its column; this claims no significance.",
    "like": "Bold: {best} in its column among the rows of a network with the same KD and recipe; "
    "this claims no significance.",
    "floats": "Published rows start from different full-precision networks: read each beside its "
    "own FP.",
    "effect": "Effect: the row minus the first one of the same method and options, or else of the "
    "same publication, on the same bit set; paired by seed; ± is the standard deviation of its "
    "differences.",
    "recalibrated": "Recalibrated: batch-norm statistics estimated anew at each bit-width, on "
    "held-out training {examples}, before the test.",
    "uniform": "One width: all layers at the widest bit-width that the budget of the sub-net "
    "allows, with the same {examples} and recalibration; never tuned.",
    "negative": f"{NEGATIVE}: share of steps in which the learning rate of the scales is negative.",
    "alone": "a16: inputs of layers are not quantized, they stay as they are computed.",
    "embedded": "Embedded data: training is real, but too small and too short to confirm or refute "
    "a published number. In some hundred steps the narrow activation scales, whose learning rate "
    "ALRS divides by up to 1000, hardly leave their initial values.",
    "made-up": "A rehearsal: every job ran for a few steps on noise. Nothing here is a result.",
    "misprint": "The publication prints MobileNetV2's {8,6,4} results under a {4,3,2} header.",
}


ABOUT_METRICS = ("always", "bold", "like", "recalibrated", "uniform")
"""Notes that name metrics, or examples."""


def metric_words(values: Values) -> dict[str, str]:
    """Return what notes say of the metrics and examples of a table."""
    several = [network.metric for network in values.networks]
    about = values.frames.headlines
    seen = dict.fromkeys(about[one.name].example for one in values.networks if one.name)
    return {
        "metric": "; ".join(dict.fromkeys(map(headline.sentence, several))),
        "best": " or ".join(dict.fromkeys(map(headline.best, several))),
        "example": " or ".join(seen or ["example"]),
        "examples": " or ".join(f"{name}s" for name in seen or ["example"]),
    }


def protocols(values: Values) -> list[str]:
    """Return how other metrics than the printed one come about."""
    known = (values.frames.headlines[one.name] for one in values.networks if one.name)
    return list(
        dict.fromkeys(one.note for one in known if one.note and one.metric != published.metric())
    )


def build(frames: Frames, experiment: str, name: str) -> Table:
    """Return the table of one experiment.

    Args:
        frames: Collected results.
        experiment: Key of the experiment in the suite.
        name: Of the table.
    """
    values = Values(frames, experiment)
    footnotes = Footnotes()
    sections = [SectionBuilder(values, network, footnotes).build() for network in values.networks]
    return table_of(
        values,
        name,
        sections=tuple(sections),
        notes=tuple(_notes(values, sections)),
        footnotes=footnotes,
    )


def _notes(values: Values, sections: list[Section]) -> list[str]:
    """Return the notes that apply."""
    kinds = {line.kind for section in sections for line in section.lines}
    cells = [entry for s in sections for line in s.lines for entry in line.entries]
    titles = [title for s in sections for group in s.groups for title in group.columns]
    several = conditions.applies(values)
    bold = any(entry.bold for entry in cells)
    chosen = {
        "always": True,
        "ratio": any(network.metric.scale == "log" for network in values.networks),
        "effect": any(kind.startswith("effect") for kind in kinds),
        "bold": bold and not several,
        "like": bold and several,
        "floats": values.printed_floats_differ,
        "recalibrated": RECALIBRATED in kinds,
        "uniform": UNIFORM in kinds,
        "negative": NEGATIVE in kinds,
        "alone": any(title.endswith("a16") for title in titles),
        values.frames.suite.data: values.frames.suite.data in NOTES,
        "misprint": values.recipe.printed == "table4",
    }
    words = metric_words(values)
    notes = [
        NOTES[key].format(**words) if key in ABOUT_METRICS else NOTES[key]
        for key, applies in chosen.items()
        if applies
    ]
    notes[1:1] = protocols(values)
    notes += [*remarks.noises(values), *remarks.claims(values), *remarks.stand_ins(values)]
    found = [search_conditions.NOTE.format(**words)] if search_conditions.applies(values) else []
    return [*notes, *conditions.NOTES, *found] if several else notes


KIND = TableKind(build, names_cells=True)
