"""What a suite shows that more data, epochs or seeds do not change: counts and arithmetic."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bitswitch.report.analysis import objective_sign, subnets
from bitswitch.report.analysis.objective_sign import BITSET, FEW
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render import latex, page
from bitswitch.report.render.scorecard import Link
from bitswitch.report.tables import entries, tables
from bitswitch.report.tables.rounding_table import relative
from bitswitch.results.files import write_bytes

PAGE, SECTION = "exact.html", "exact.tex"

OUTPUTS = (PAGE, SECTION)
"""Files that ``write`` makes in ``results/<suite>/``."""

LITERAL = "literal"
"""The variant of ALRS that follows Eq. 6 as printed."""

SIGNS = {"as-printed": "as printed", "sign-fixed": "with the other sign"}
"""Objectives of search ``ilp`` that are linear in the bit-widths."""


class Fact(NamedTuple):
    """One statement, with its numbers."""

    title: str
    text: str
    tables: tuple[Link, ...] = ()
    """That show more of it."""


class Facts(NamedTuple):
    """All that can be said of a suite."""

    listed: tuple[Fact, ...]
    missing: tuple[str, ...]
    """Titles of what the suite has no result of."""


def write(frames: Frames, folder: Path) -> list[Path]:
    """Write ``OUTPUTS`` below ``folder``; return their paths.

    Args:
        frames: All collected tables.
        folder: ``results/<suite>``.
    """
    facts = find(frames)
    texts = (
        page.render("exact/exact.html.j2", facts=facts),
        latex.render("exact/exact.tex.j2", facts=facts),
    )
    for name, text in zip(OUTPUTS, texts, strict=True):
        write_bytes(folder / name, text.encode())
    return [folder / name for name in OUTPUTS]


def find(frames: Frames) -> Facts:
    """Return what can be said of a suite; everything is computed from its results."""
    found = {title: find_one(frames) for title, find_one in FINDERS.items()}
    return Facts(
        tuple(Fact(title, *one) for title, one in found.items() if one),
        tuple(title for title, one in found.items() if one is None),
    )


Found = tuple[str, tuple[Link, ...]] | None


def _deployment(frames: Frames) -> Found:
    """Compare the stored integers with training, example by example."""
    rows = frames.deployments
    good = rows[rows.status == "complete"]
    if good.empty:
        return None
    tested, tied, odd = (
        int(good[name].sum()) for name in ("images", "images_with_ties", "unexplained")
    )
    failed = rows.run.nunique() - good.run.nunique()
    text = (
        f"{_counted(good.run.nunique(), 'network')} exported as one integer model each and run "
        f"with integer sums, {tested:,} pairs of a test example and a bit-width: "
        f"{tested - tied - odd:,} have the codes of training in every layer, {tied:,} differ from "
        f"it first where a value lies on the boundary between two codes, {odd:,} for another "
        f"reason. {int(good.differing.sum()):,} of {int(good.predictions.sum()):,} predictions "
        "are others." + (f" {_counted(failed, 'network')} could not be deployed." if failed else "")
    )
    return text, _of_kind(frames, "parity")


def _nested(frames: Frames) -> Found:
    """Compare the file for all bit-widths with models of one."""
    shares = [_file_shares(rows) for _, rows in frames.storage.groupby("run", sort=False)]
    known = pd.DataFrame([one for one in shares if one], columns=["widest", "all"])
    if known.empty:
        return None
    text = (
        "Every narrow code is the stored widest one, rounded by a shift; no other weights are "
        f"kept. The codes and scales of all bit-widths take {_range(known.widest)} % of those of "
        f"the widest alone, and {_range(known['all'])} % of one model for each bit-width."
    )
    return text, _of_kind(frames, "storage")


def _file_shares(rows: pd.DataFrame) -> tuple[float, float] | None:
    """Return what a file takes in percent of its widest model alone, and of all models."""
    alone, file = (rows[rows.form == form].quantized for form in ("separate", "file"))
    if alone.empty or file.empty:
        return None
    return 100 * file.iloc[0] / alone.max(), 100 * file.iloc[0] / alone.sum()


def _second_rounding(frames: Frames) -> Found:
    """Compare codes that were rounded twice with those rounded once, by bit-width."""
    if frames.rounding.empty:
        return None
    rows = relative(frames.rounding)
    widest = rows.groupby("run").bits.transform("max")
    found: dict[int, list[str]] = {}
    for (stored, bits), layers in rows[rows.bits < widest].groupby([widest, "bits"], sort=False):
        share = 100 * layers.differing.sum() / layers.weights.sum()
        more = 100 * (layers.twice / layers.once - 1).mean()
        found.setdefault(int(str(stored)), []).append(f"{bits} bits {share:.3g} % and {more:.3g} %")
    told = "; ".join(f"from {stored} bits to {', '.join(found[stored])}" for stored in found)
    text = (
        "Codes that are others than if float weights were rounded to the same grid at once, and "
        f"how much larger the squared error is for it, mean over layers: {told}."
    )
    return text, _of_kind(frames, "rounding-errors")


def _traces(frames: Frames) -> Found:
    """Return how well Hessian traces are known."""
    rows = frames.sensitivities[frames.sensitivities.status == "complete"]
    facts = [json.loads(text) for text in rows.facts.dropna()]
    known = [fact for fact in facts if "probes" in fact and "largest_relative_error" in fact]
    if not known:
        return None
    errors = pd.Series([100 * fact["largest_relative_error"] for fact in known])
    probes = pd.Series([fact["probes"] for fact in known])
    text = (
        f"{_counted(len(known), 'estimate')} of the Hessian itself, none of its parts left out, "
        f"with {_range(probes, 0)} random probes an example: the standard error of the least "
        f"certain layer is {_range(errors)} % of its trace"
        + (f", and nothing at all in {(errors == 0).sum()} of them" if (errors == 0).any() else "")
        + "."
    )
    return text, _of_kind(frames, "scoring")


def _objective(frames: Frames) -> Found:
    """Return which layers get many bits by the printed objective, and by that with another sign."""
    found = pd.DataFrame(_rank_correlations(frames), columns=["search", "objective", "rank"])
    parts = [
        f"{SIGNS[str(objective)]}, {_correlated(ranks)}"
        for objective, ranks in found.groupby("objective")["rank"]
    ]
    own = f"In this suite, {'; '.join(parts)}. " if parts else ""
    printed, fixed, default = (row[-1] for row in list(objective_sign.choices())[:3])
    text = (
        f"{own}With the traces that HAWQ-V3 publishes of ResNet-18, {min(BITSET)} to {max(BITSET)} "
        f"bits, {objective_sign.MEAN} on average, the {FEW} most sensitive layers get {printed} "
        f"as printed, {fixed} with the other sign, {default} by the default objective."
    )
    return text, _links(
        frames,
        (
            cell.experiment
            for cell in frames.suite.run_cells
            if cell.search and cell.search.identifier in set(found.search)
        ),
    )


def _correlated(ranks: pd.Series) -> str:
    """Return how bit-widths and traces go together in several sub-nets."""
    low, high = (entries.signed(end, 2) for end in (ranks.min(), ranks.max()))
    between = low if low == high else f"{low} to {high}"
    return (
        f"a layer's bit-width falls with its trace in {(ranks < 0).sum()} of {len(ranks)} sub-nets "
        f"(rank correlation {between})"
    )


def _rank_correlations(frames: Frames) -> Iterator[tuple[str, str, float]]:
    """Yield search, objective and rank correlation of traces and bit-widths of every sub-net."""
    for name, spec in frames.suite.searches.items():
        objective = str(spec.search.options.get("objective"))
        if objective not in SIGNS or spec.sensitivity is None:
            continue
        rows = frames.scores
        rows = rows[(rows.sensitivity == spec.sensitivity.identifier) & rows.bits.isna()]
        traces = rows[["layer", "value"]]
        for budget in frames.policies.budget[frames.policies.search == name]:
            both = subnets.layers_of(frames, name, budget).merge(traces, on="layer")
            if both.weight_bits.nunique() > 1:
                ranks = both[["weight_bits", "value"]].rank().to_numpy().T
                yield name, objective, float(np.corrcoef(ranks)[0, 1])


def _readings(frames: Frames) -> Found:
    """Return how often the learning rate of the scales is negative, by reading of Eq. 6."""
    rows = frames.runs[frames.runs.alrs.notna() & frames.runs.negative_share.notna()]
    shares = rows.negative_share.map(lambda text: 100 * max(json.loads(text).values(), default=0))
    by_reading = {str(name): group for name, group in shares.groupby(rows.alrs)}
    if LITERAL not in by_reading:
        return None
    first = by_reading.pop(LITERAL)
    others = "; ".join(
        f"{name}, {_range(group, 0)} % ({len(group)})" for name, group in by_reading.items()
    )
    text = (
        "As printed, the learning rate of the scales is negative in "
        f"{_range(first, 0)} % of the steps at the worst bit-width of a run "
        f"({len(first)})" + (f"; by the other readings: {others}." if others else ".")
    )
    literal = set(rows.run[rows.alrs == LITERAL])
    return text, _links(
        frames, (cell.experiment for cell in frames.suite.run_cells if cell.run.run_id in literal)
    )


FINDERS: dict[str, Callable[[Frames], Found]] = {
    "Deployment": _deployment,
    "Nested codes": _nested,
    "Second rounding": _second_rounding,
    "Hessian traces": _traces,
    "Sign of the printed objective": _objective,
    "Readings of Eq. 6": _readings,
}


def _of_kind(frames: Frames, kind: str) -> tuple[Link, ...]:
    """Return links to all tables of one kind."""
    experiments = frames.suite.experiments.items()
    return _links(frames, (name for name, recipe in experiments if recipe.table == kind))


def _links(frames: Frames, experiments: Iterable[str]) -> tuple[Link, ...]:
    """Return links to the tables of some experiments; of several with one title, to the first."""
    names = dict(zip(frames.suite.experiments, tables.names(frames.suite), strict=True))
    by_title: dict[str, Link] = {}
    for one in experiments:
        title = frames.suite.experiments[one].title.partition(":")[0]
        by_title.setdefault(title, Link(names[one], names[one], title))
    return tuple(by_title.values())


def _counted(count: int, noun: str) -> str:
    """Return a number of things.

    >>> _counted(1, "network"), _counted(4, "network")
    ('1 network', '4 networks')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _range(values: pd.Series, digits: int = 1) -> str:
    """Return the least and the largest of some numbers.

    >>> _range(pd.Series([3.04, 1.25])), _range(pd.Series([2.0, 2.0]), 0)
    ('1.2 to 3.0', '2')
    """
    low, high = f"{values.min():.{digits}f}", f"{values.max():.{digits}f}"
    return low if low == high else f"{low} to {high}"
