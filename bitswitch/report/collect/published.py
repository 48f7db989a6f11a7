"""Printed numbers of publications, and the arithmetic on them that claims rest on."""

import re
from functools import cache
from typing import NamedTuple

import pandas as pd
from pydantic import RootModel

from bitswitch.contracts.metric import Metric, binomial_noise
from bitswitch.errors import ReportError
from bitswitch.report.render.assets import asset
from bitswitch.spec.yaml_files import explained, read_yaml
from bitswitch.suite.claims import KD, ClaimSpec
from bitswitch.text import Key
from bitswitch.types import format_bitset

PAPER = "huang2025nearly"
"""Citation key of the publication this suite reproduces."""


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(asset("published", PAPER, f"{name}.csv"), dtype={"bit_widths": str})


@cache
def metric() -> Metric:
    """Return what the printed values of ``accuracy`` are."""
    (printed,) = _read("metric").astype(object).itertuples(index=False)
    return Metric(*printed)


def noise(value: float, examples: int) -> float:
    """Return the 95 % half-width of a printed value on a test set of so many examples.

    It is binomial: printed values are shares of examples, in percent.
    """
    return binomial_noise(value, examples)


def accuracy() -> pd.DataFrame:
    """Return every printed value of ``metric``, one per row."""
    return _read("accuracy").copy()


def costs() -> pd.DataFrame:
    """Return every printed training cost in hours, one per row."""
    return _read("cost").copy()


@cache
def claims() -> dict[str, ClaimSpec]:
    """Return the claims of the text and of the author replies, by identifier."""
    path = asset("published", PAPER, "claims.yaml")
    with explained(str(path)):
        return _Claims.model_validate(read_yaml(path)).root


class _Claims(RootModel[dict[Key, ClaimSpec]]):
    """The file of claims."""


def bitset_title(printed: str) -> str:
    """Return ``{4,3,2}`` for ``4,3,2``."""
    return format_bitset(tuple(int(bits) for bits in printed.split(",")))


def place_of(table: str) -> str:
    """Return how prose names a table.

    >>> place_of("table4"), place_of("rebuttal-limpq")
    ('Table 4', 'author reply')
    """
    return f"Table {table[5:]}" if table.startswith("table") else "author reply"


def value(place: str) -> float:
    """Return the accuracy printed at ``place``.

    Args:
        place: ``table/model/method[/{bits}][/kd=0|1]/cell``, e.g.
            ``table1/resnet18/double-rounding/kd=0/w8a8``.

    Raises:
        ReportError: no printed number, or more than one, is there.
    """
    table, model, method, *rest, cell = place.split("/")
    rows = accuracy()
    chosen = (rows.table == table) & (rows.model == model) & (rows.method == method)
    chosen &= rows.cell == cell
    for part in rest:
        if part.startswith("kd="):
            chosen &= rows.kd == float(part[3:])
        else:
            chosen &= rows.bit_set == part.strip("{}")
    found = rows.loc[chosen, "value"]
    if len(found) != 1:
        raise ReportError(f"{PAPER}: {len(found)} printed numbers at '{place}', expected one.")
    return float(found.iloc[0])


def margin(claim: ClaimSpec) -> float | None:
    """Return the margin in points that the printed tables give for a claim.

    None where it is not about two printed numbers, or says no number.
    """
    both = claim.left.table and claim.right and claim.right.table
    if claim.printed is None or not both or len(claim.places) != 2:
        return None
    minuend, subtrahend = claim.places
    return round(value(minuend) - value(subtrahend), 2)


def contradiction(claim: ClaimSpec) -> str | None:
    """Return how the text contradicts its own tables, or None."""
    found = margin(claim)
    if found is None or found == claim.printed:
        return None
    return f"the text says {claim.printed:.2f} points, its tables give {found:.2f}"


def names(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what suites call printed rows: the variant where one is printed, else the method."""
    return rows["variant"].fillna(rows["method"] + rows["kd"].map({1: KD}).fillna(""))


class Setup(NamedTuple):
    """What a printed row says besides its accuracies; empty where it says nothing."""

    storage: str = ""
    """Bits per stored weight."""
    epochs: str = ""
    note: str = ""
    """What is odd about the print, or how the row came about."""

    @property
    def search(self) -> str:
        """What found its sub-net."""
        found = re.search(r"search (\w+)", self.note)
        return found.group(1) if found else ""

    @property
    def tuned(self) -> str:
        """Whether its sub-net was trained on: ``yes``, ``no`` or nothing."""
        if "fine-tune" not in self.note:
            return ""
        return "no" if "no fine-tune" in self.note else "yes"


def setups(table: str | None) -> dict[tuple[str, str], Setup]:
    """Return what the rows of ``table`` say, by model and name of the row."""
    rows = accuracy()
    rows = rows.assign(name=names(rows))[rows.table == table]
    return {
        (str(key[0]), str(key[1])): Setup(
            storage="/".join(group.storage_bits.dropna().unique()),
            epochs="/".join(f"{epochs:.0f}" for epochs in group.epochs.dropna().unique()),
            note="; ".join(group.notes.dropna().unique()),
        )
        for key, group in rows.groupby(["model", "name"], sort=False)
    }


def tidy() -> pd.DataFrame:
    """Return all printed numbers in the columns of ``metrics.csv`` that they fill."""
    return pd.concat([_tidy_accuracy(), _tidy_costs()], ignore_index=True)


def _tidy_accuracy() -> pd.DataFrame:
    """Return printed accuracies, and the full-precision ones beside them, once per row."""
    rows = accuracy()
    rows["variant"] = names(rows)
    rows["bitset"] = rows["bit_set"].map(bitset_title)
    rows["policy"] = rows["cell"].str.extract(r"^w(\d+)a", expand=False).fillna(rows["cell"])
    keys = ["table", "dataset", "model", "method", "variant"]
    floats = rows.dropna(subset="fp_value").drop_duplicates(keys)
    floats = floats.assign(value=floats["fp_value"], bitset="FP", policy="32")
    both = pd.concat([rows, floats], ignore_index=True)
    both = both.assign(split="test", metric=metric().name, unit=metric().unit)
    return _published(both)


def _tidy_costs() -> pd.DataFrame:
    """Return printed hours and savings."""
    rows = costs()
    separate = rows["bit_widths"] == "separate"
    rows["bitset"] = [
        "" if alone else bitset_title(bits)
        for alone, bits in zip(separate, rows["bit_widths"], strict=True)
    ]
    rows["variant"] = separate.map({True: "separate", False: "joint"})
    rows["method"] = "double-rounding"
    hours = rows.assign(metric="average_hours", value=rows["avg_hours"], unit="hours")
    saved = rows.assign(metric="save_cost", value=rows["save_cost_percent"], unit="percent")
    return _published(pd.concat([hours, saved], ignore_index=True))


def _published(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``rows`` with the columns that say where they come from."""
    return rows.assign(
        source="published",
        experiment=rows["table"],
        network=rows["model"],
        status="published",
        where=PAPER + ", " + rows["table"].map(place_of),
    )
