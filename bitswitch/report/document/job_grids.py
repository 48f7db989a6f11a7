"""The tables on pages of jobs, from the rows of one job in the tidy tables."""

import json
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from bitswitch.report.analysis.health import Fact
from bitswitch.report.collect.columns import COSTS
from bitswitch.report.document.job_page import Grid

OF_SEARCH = ("run", "model", "seed", "tied", "first_last", "code_hash")
"""Columns of ``policies.csv`` that all budgets of a search share."""

OF_BUDGETS = (
    *("status", "diagnosis", "cost", "limit", "objective", "held_out_headline"),
    *("candidates", "evaluations", "search_time_s", "retraining_epochs", "retraining_time_s"),
    *("uniform_bits", "uniform_cost"),
    *COSTS,
)
"""And those that each has."""

OF_PARITY = (
    *("status", "diagnosis", "headline_trained", "headline_integer", "headline_onnx"),
    *("images", "predictions", "differing", "ties", "images_with_ties", "unexplained"),
    *("largest_difference", "largest_sum", "possible_sum"),
    *("onnx_differing", "onnx_difference", "onnx_integer_kernels", "onnx_float_kernels", "no_onnx"),
)
"""Columns of ``deployments.csv``, one value per bit-width."""


def measured(rows: pd.DataFrame | None, title: str, unit: str = "") -> Grid | None:
    """Return what was measured on the test split: metrics by policy; None where nothing was.

    Args:
        rows: Of ``metrics.csv``.
        title: Of the table.
        unit: Behind the name of a policy.
    """
    if rows is None:
        return None
    found = rows[(rows.split == "test") & rows.value.notna()]
    places = zip(found.metric, found.policy, strict=True)
    values = {place: f"{value:.5g}" for place, value in zip(places, found.value, strict=True)}
    policies = list(dict.fromkeys(policy for _, policy in values))
    metrics = dict.fromkeys(metric for metric, _ in values)
    return _grid(
        title,
        ("metric", *(f"{policy}{unit}" for policy in policies)),
        ((str(one), *(values.get((one, policy), "") for policy in policies)) for one in metrics),
    )


def budgets(rows: pd.DataFrame) -> Grid | None:
    """Return what became of every budget of a search, from its rows of ``policies.csv``."""
    return _turned("By budget", rows, "budget", OF_BUDGETS)


def layers(rows: pd.DataFrame | None) -> Grid | None:
    """Return the policy of every budget, from rows of ``policy_layers.csv``."""
    if rows is None:
        return None
    widths = [
        f"{weight}" if weight == activation else f"{weight}/{activation}"
        for weight, activation in zip(rows.weight_bits, rows.activation_bits, strict=True)
    ]
    return _crossed(
        "Bit-widths, layer by layer",
        rows.assign(shown=widths).sort_values("position", kind="stable"),
        "layer",
        "budget",
        "From the input; weight/input where the two differ.",
    )


def scores(rows: pd.DataFrame | None) -> Grid | None:
    """Return the scores of all layers, from rows of ``scores.csv``."""
    if rows is None:
        return None
    values = zip(rows.value, rows.standard_error, strict=True)
    texts = [f"{value:.4g}" + (f" ± {error:.1g}" if error else "") for value, error in values]
    places = [
        operand if pd.isna(bits) else f"{operand}, {bits:.0f} bits"
        for operand, bits in zip(rows.operand, rows.bits, strict=True)
    ]
    return _crossed(
        "Scores, layer by layer",
        rows.assign(shown=texts, place=places).sort_values("position", kind="stable"),
        "layer",
        "place",
        "From the input; larger is more sensitive; ±: standard error of what is estimated.",
    )


def deployment(
    parity: pd.DataFrame, storage: pd.DataFrame | None, rounding: pd.DataFrame | None
) -> list[Grid | None]:
    """Return what a deployment found, from its rows of ``deployments.csv`` and of the others."""
    rows = parity.assign(width=parity.bits.map("{:.0f} bits".format))
    found = [_turned("Deployed: the stored integers against training", rows, "width", OF_PARITY)]
    if storage is not None:
        forms = [
            form if pd.isna(bits) else f"{form}, {bits:.0f} bits"
            for form, bits in zip(storage.form, storage.bits, strict=True)
        ]
        texts = (
            (form, f"{one:.0f}", f"{rest:.0f}")
            for form, one, rest in zip(forms, storage.quantized, storage.rest, strict=True)
        )
        found.append(_grid("Deployed: bytes", ("form", "quantized layers", "rest"), texts))
    if rounding is not None:
        shares = 100 * rounding.differing / rounding.weights
        rows = rounding.assign(
            shown=shares.map("{:.3g}".format), width=rounding.bits.map("{:.0f} bits".format)
        )
        found.append(
            _crossed(
                "Deployed: codes that rounding once would make others, percent",
                rows.sort_values("position", kind="stable"),
                "layer",
                "width",
                "From the input.",
            )
        )
    return found


def facts(row: "pd.Series[Any]", hidden: Collection[str] = ()) -> list[Fact]:
    """Return what a row of a table says of a job, under the names of its columns."""
    known = row.drop(labels=[*hidden]).dropna()
    return [Fact(_spoken(name), _plain(value)) for name, value in known.items()]


def own(text: object) -> list[Fact]:
    """Return what a sensitivity says of itself, from JSON."""
    known = json.loads(text) if isinstance(text, str) else {}
    return [Fact(_spoken(name), _plain(value)) for name, value in known.items()]


def _turned(title: str, rows: pd.DataFrame, by: str, columns: Iterable[str]) -> Grid | None:
    """Return a table whose columns are rows of another, without what none of them says."""
    told = [(name, [_plain(value) for value in rows[name]]) for name in columns]
    shown = ((_spoken(name), *texts) for name, texts in told if any(texts))
    return _grid(title, ("", *rows[by].astype(str)), shown)


def _crossed(title: str, rows: pd.DataFrame, down: str, across: str, about: str) -> Grid | None:
    """Return a table of column ``shown``, in the order in which rows and columns come."""
    places = dict(zip(zip(rows[down], rows[across], strict=True), rows["shown"], strict=True))
    columns = list(dict.fromkeys(rows[across]))
    shown = (
        (one, *(places.get((one, other), "") for other in columns))
        for one in dict.fromkeys(rows[down])
    )
    return _grid(title, (down, *columns), shown, about)


def _grid(
    title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], about: str = ""
) -> Grid | None:
    listed = tuple(rows)
    return Grid(title, columns, listed, about) if listed else None


def _spoken(name: object) -> str:
    return str(name).replace("_", " ")


def _plain(value: Any) -> str:
    """Return a value as text; nothing for none."""
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
