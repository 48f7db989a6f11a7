"""What the publication's own numbers get wrong: computed, never copied by hand."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bitswitch.report.analysis import objective_sign
from bitswitch.report.analysis.training_times import Saving
from bitswitch.report.analysis.values import PRINTED_TITLES, Sample, Values
from bitswitch.report.collect import published
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import best, heading, number
from bitswitch.report.packs.pack import opened
from bitswitch.report.render.assets import asset
from bitswitch.report.tables import entries
from bitswitch.results.archive import SUFFIX
from bitswitch.results.files import write_bytes
from bitswitch.suite.claims import ClaimSpec

READINGS = "readings"
"""Experiment that compares the readings of Eq. 6."""

Cells = Sequence[object]


def write(path: Path = Path("docs/errata.md"), reference: Path = Path("results/reference")) -> Path:
    """Write the page to ``path`` and return it.

    Args:
        path: Where to.
        reference: Folder with kept results, one pack per suite.
    """
    write_bytes(path, text(reference).encode())
    return path


def text(reference: Path) -> str:
    """Return the page; measurements come from ``reference``, everything else from print."""
    environment = Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(asset(".")),
    )
    return environment.get_template("errata.md.j2").render(
        paper=published.PAPER,
        savings=markdown(SAVINGS, savings()),
        disagreements=markdown(DISAGREEMENTS, disagreements()),
        unlike=markdown(UNLIKE, unlike()),
        alrs=alrs_direction(),
        misprinted=list(misprinted_header()),
        remarks=markdown(REMARKS, remarks()),
        drops=markdown(DROPS, drops()),
        objectives=markdown(objective_sign.HEADER, objective_sign.choices()),
        metric=published.metric(),
        measurements=[(one.suite, measurements(one)) for one in kept(reference)],
    )


SAVINGS = (
    "network",
    "bit set",
    "separate, h",
    "joint, h",
    "printed, %",
    "of joint, %",
    "of separate, %",
)


def savings() -> Iterator[Cells]:
    """Yield Table 5's savings, printed and recomputed both ways."""
    for model, rows in published.costs().groupby("model", sort=False):
        hours = dict(zip(rows.bit_widths, rows.avg_hours, strict=True))
        printed = dict(zip(rows.bit_widths, rows.save_cost_percent, strict=True))
        for bits in hours:
            if bits != "separate":
                saving = Saving(hours[bits], hours["separate"])
                yield (
                    PRINTED_TITLES[str(model)],
                    published.bitset_title(bits),
                    hours["separate"],
                    hours[bits],
                    printed[bits],
                    f"{saving.of_joint:.1f}",
                    f"{saving.of_separate:.1f}",
                )


DISAGREEMENTS = ("claim", "stated in", "minuend", "subtrahend", "text, points", "tables, points")


def disagreements() -> Iterator[Cells]:
    """Yield margins that the text states otherwise than its own tables."""
    for name, claim in published.claims().items():
        if published.contradiction(claim):
            yield *_places(name, claim), f"{claim.printed:.2f}", f"{published.margin(claim):.2f}"


UNLIKE = ("claim", "stated in", "minuend", "subtrahend", "points", "like for like?")


def unlike() -> Iterator[Cells]:
    """Yield margins between rows that were not made in the same way."""
    for name, claim in published.claims().items():
        margin = published.margin(claim)
        if claim.unlike and margin is not None:
            yield *_places(name, claim), f"{margin:+.2f}", claim.unlike


def _places(name: str, claim: ClaimSpec) -> Cells:
    """Return which claim it is and the two numbers it is about."""
    return name, claim.source, *(f"`{place}`" for place in claim.places)


def alrs_direction() -> dict[str, object]:
    """Return how many cells of Table 4 go up with ALRS, and which do not."""
    rows = published.accuracy()
    cells = rows[rows.table == "table4"].pivot(
        index=["model", "bit_set", "cell"], columns="variant", values="value"
    )
    gain = (cells["with-alrs"] - cells["without-alrs"]).round(2).reset_index(name="points")
    down = [
        f"{PRINTED_TITLES[row['model']]} {published.bitset_title(row['bit_set'])} {row['cell']} "
        f"({row['points']:+.2f})"
        for row in gain[gain.points <= 0].to_dict("records")
    ]
    return {"up": int((gain.points > 0).sum()), "all": len(gain), "down": ", ".join(down)}


def misprinted_header() -> Iterator[Cells]:
    """Yield the networks whose results stand under a bit set that is not theirs."""
    rows = published.accuracy()
    rows = rows[(rows.table == "table4") & ~rows.bit_set.isin(["8,6,4,2", "4,3,2"])]
    for model, bits in rows[["model", "bit_set"]].drop_duplicates().itertuples(index=False):
        cells = rows[(rows.model == model) & (rows.bit_set == bits)].cell
        yield PRINTED_TITLES[model], published.bitset_title(bits), ", ".join(dict.fromkeys(cells))


DROPS = (
    "table",
    "network",
    "cell",
    f"{best(published.metric())} {published.metric().spoken}",
    "smallest drop from its own full precision",
)


def drops() -> Iterator[Cells]:
    """Yield the cells that another row wins when drops are compared instead of values."""
    rows = published.accuracy()
    rows = rows[rows.table.isin(["table1", "table2"]) & rows.fp_value.notna() & (rows.kd == 0)]
    for _, group in rows.groupby(["table", "model", "cell"], sort=False):
        highest = group.iloc[int(group.value.argmax())]
        nearest = group.iloc[int((group.value - group.fp_value).argmax())]
        if highest["method"] != nearest["method"]:
            yield *_place_of(highest), highest["cell"], _with_drop(highest), _with_drop(nearest)


def _place_of(row: pd.Series) -> Cells:
    """Return table and network of a printed number."""
    return published.place_of(row["table"]), PRINTED_TITLES[row["model"]]


def _with_drop(row: pd.Series) -> str:
    """Return a method with its printed value and its drop."""
    drop = row["value"] - row["fp_value"]
    return f"{row['method']}: {number(published.metric(), row['value'])} ({drop:+.2f})"


REMARKS = ("table", "network", "method", "remark")


def remarks() -> Iterator[Cells]:
    """Yield what the transcription says of how rows are printed."""
    rows = published.accuracy()
    rows = rows[rows.notes.str.contains("print", na=False)]
    for _, row in rows.drop_duplicates(["table", "model", "method", "notes"]).iterrows():
        yield *_place_of(row), row["method"], row["notes"]


MEASURED = ("network", "reading", "bit-width", "λ < 0, % of steps")
"""Followed by the headline."""


def kept(reference: Path) -> list[Frames]:
    """Return the kept results that compare the readings of Eq. 6."""
    frames = []
    for file in sorted(reference.glob(f"*{SUFFIX}")):
        with opened(file) as pack:
            if READINGS in pack.suite.experiments:
                frames.append(pack.frames())
    return frames


def measurements(frames: Frames) -> str:
    """Return the table of what a suite says of the readings."""
    values = Values(frames, READINGS)
    titles = dict.fromkeys(heading(network.metric) for network in values.networks)
    return markdown((*MEASURED, "; ".join(titles)), measured(values))


def measured(values: Values) -> Iterator[Cells]:
    """Yield share of negative learning rates and final headline per reading and bit-width."""
    for network in values.networks:
        name = network.name or ""
        shares = values.negative_shares.get(name, {})
        for place, sample in values.samples.get(name, {}).items():
            if place.variant in values.recipe.variants:
                title = values.recipe.variants[place.variant].title
                share = 100 * shares.get(place, 0.0)
                yield network.title, title, place.policy, f"{share:.0f}", _headline(sample)


def _headline(sample: Sample) -> str:
    """Return what was measured at one place, failed seeds included."""
    failed = "; ".join(entries.reasons(sample))
    if not sample.values:
        return failed
    metric = sample.metric
    spread = "" if sample.spread is None else f" ± {number(metric, sample.spread)}"
    count = f"(n={sample.count.strip('()')})"
    return f"{number(metric, sample.mean)}{spread} {count}" + (f"; {failed}" if failed else "")


def markdown(header: Sequence[str], rows: Iterable[Cells]) -> str:
    r"""Return a table in Markdown.

    >>> markdown(("a", "b"), [(1, "x")])
    '| a | b |\n|-|-|\n| 1 | x |'
    """
    lines = [header, *rows]
    body = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join([body[0], "|-" * len(header) + "|", *body[1:]])
