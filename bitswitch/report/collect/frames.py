"""The tidy tables that everything in a report is made from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bitswitch.contracts.metric import Metric
from bitswitch.errors import RecordError
from bitswitch.report.collect.columns import LATER, NUMBERS, TABLES, TYPES
from bitswitch.report.collect.expansion import NAME as EXPANSION
from bitswitch.report.collect.expansion import Expansion
from bitswitch.report.collect.headline import Headline
from bitswitch.results.correct import unpacked
from bitswitch.results.files import write_bytes
from bitswitch.results.result import read_result, write_result
from bitswitch.spec import yaml_text
from bitswitch.spec.yaml_files import read_yaml
from bitswitch.suite.suite import Suite

EMBEDDED = {"image": "small rendered images", "window": "short windows of text"}
"""What embedded examples are, by what their task calls them."""


def frame(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return ``rows`` as a frame with exactly ``columns``."""
    found = pd.DataFrame(list(rows), columns=list(columns))
    return found.astype({name: "Int64" for name in NUMBERS if name in columns})


def records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows of ``table`` by column, ``None`` where something is missing."""
    columns = [
        [None if absent else value for value, absent in zip(column, column.isna(), strict=True)]
        for _, column in table.items()
    ]
    return [dict(zip(table.columns, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Frames:
    """The collected tables of one suite."""

    suite: Suite
    """As collected, titles included."""
    metrics: pd.DataFrame
    tasks: pd.DataFrame
    runs: pd.DataFrame
    methods: pd.DataFrame
    correct_examples: pd.DataFrame
    curves: pd.DataFrame
    scale_gradients: pd.DataFrame
    sensitivities: pd.DataFrame
    scores: pd.DataFrame
    sensitivity_uses: pd.DataFrame
    needs: pd.DataFrame
    policies: pd.DataFrame
    policy_layers: pd.DataFrame
    deployments: pd.DataFrame
    storage: pd.DataFrame
    rounding: pd.DataFrame
    repeats: pd.DataFrame

    @cached_property
    def cards(self) -> dict[str, dict[str, Any]]:
        """Rows of ``methods.csv`` by name of the plugin; empty texts where nothing is said."""
        table = self.methods.astype(object)
        table = table.where(table.notna(), "").set_index("method")
        return {str(name): dict(row) for name, row in table.iterrows()}

    @cached_property
    def ended(self) -> frozenset[str]:
        """The runs that came to an end, good or bad: only of these anything can be said."""
        return frozenset(self.runs.run[self.runs.status != "missing"])

    @cached_property
    def by_run(self) -> pd.DataFrame:
        """``runs.csv`` by run."""
        return self.runs.set_index("run")

    @cached_property
    def headlines(self) -> dict[str, Headline]:
        """The headline of every network that an experiment of the suite names."""
        return {str(row["network"]): _headline(row) for row in records(self.tasks)}

    @property
    def definitions(self) -> list[str]:
        """What the values of headlines are, each once."""
        return list(dict.fromkeys(one.definition for one in self.headlines.values()))

    @property
    def material(self) -> str:
        """What embedded data are."""
        seen = dict.fromkeys(one.example for one in self.headlines.values())
        return " and ".join(EMBEDDED.get(example, f"few {example}s") for example in seen)

    @cached_property
    def reproduced(self) -> pd.DataFrame:
        """The measured rows of ``metrics.csv``; ``role`` tells the headlines, see ``headline``."""
        rows = self.metrics[self.metrics.source == "reproduced"]
        roles = [
            self.headlines[network].role(metric)
            for network, metric in zip(rows.network, rows.metric, strict=True)
        ]
        return rows.assign(role=pd.Series(roles, index=rows.index, dtype=object))

    @cached_property
    def headline_of(self) -> dict[str, Headline]:
        """The headline of every run that stands in a table."""
        rows = self.reproduced[["run", "network"]].dropna().drop_duplicates("run")
        return {
            str(run): self.headlines[str(network)]
            for run, network in zip(rows.run, rows.network, strict=True)
        }

    @cached_property
    def _packed(self) -> dict[tuple[str, str, str], tuple[str, int]]:
        """Rows of ``correct_examples.csv`` by job, policy and metric: the bits, and how many."""
        table = self.correct_examples
        keys = zip(table.job, table.policy, table.metric, strict=True)
        return dict(zip(keys, zip(table.packed, table.examples, strict=True), strict=True))

    def correct(self, job: str, policy: int | str, metric: str) -> NDArray[np.bool_] | None:
        """Return whether each example of the test split was right, in the order of the split.

        Two networks that were evaluated on the same data are so compared by example.

        Args:
            job: Identifier of a run or search; a deployed network has that of its run.
            policy: Bit-width of a run, or name of a search's budget.
            metric: That is the share of the right ones; its name as in ``metrics.csv``, and behind
                it ``_integer`` for the stored integer model or ``_onnx`` for onnxruntime.

        Returns:
            None where nothing was kept: the job is not finished or is of an earlier version, or
            its task has no right and wrong.
        """
        found = self._packed.get((job, str(policy), metric))
        return None if found is None else unpacked(*found)

    def data_of(self, runs: Iterable[object]) -> list[str]:
        """Return what those of ``runs`` that came to an end were trained on, each once."""
        chosen = self.runs[self.runs.run.isin(self.ended.intersection(runs))]
        return [str(stamp) for stamp in dict.fromkeys(chosen.data_stamp)]

    def write(self, folder: Path, expansion: Expansion | None = None) -> None:
        """Write one CSV file per table, ``suite.yaml`` and its expansion below ``folder``.

        Args:
            folder: Is made.
            expansion: What plugins say of the suite; None: the installed ones are asked.
        """
        folder.mkdir(parents=True, exist_ok=True)
        content = self.suite.model_dump(mode="json", exclude_defaults=True)
        text = yaml_text.dump(content)
        write_bytes(folder / "suite.yaml", text.encode())
        (expansion or Expansion.of(self.suite)).write(folder)
        for name in TABLES:
            table: pd.DataFrame = getattr(self, name)
            write_bytes(folder / f"{name}.csv", table.to_csv(index=False).encode())
        files = ("suite.yaml", EXPANSION, *(f"{name}.csv" for name in TABLES))
        write_result(folder, {"suite": self.suite.name}, files)

    @classmethod
    def read(cls, folder: Path, *names: str) -> Self:
        """Return what ``write`` left in ``folder``.

        Args:
            folder: ``results/<suite>``.
            names: Tables that are needed, the others stay empty; default: all.

        Raises:
            RecordError: a table is missing, damaged or edited, or mixes data of one
                kind with those of another.
        """
        if not (folder / "suite.yaml").exists():
            raise RecordError(f"Nothing has been collected in {folder} yet.\n{_REMEDY}")
        needed = (f"{name}.csv" for name in names or TABLES)
        read_result(folder, "suite.yaml", EXPANSION, *needed, remedy=_REMEDY)
        suite = Suite.model_validate(read_yaml(folder / "suite.yaml"))
        frames = cls(
            suite=suite.expanded_by(lambda: Expansion.read(folder).cells),
            **{
                name: _read(folder / f"{name}.csv", columns)
                if not names or name in names
                else frame((), columns)
                for name, columns in TABLES.items()
            },
        )
        reproduced = frames.metrics.loc[frames.metrics.source == "reproduced", "data"]
        if foreign := set(reproduced) - {frames.suite.data}:
            raise RecordError(
                f"{folder}/metrics.csv has results on {foreign.pop()} data in a suite on "
                f"{frames.suite.data} data; the two are never mixed. Collect them apart."
            )
        return frames


def _headline(row: Mapping[Any, Any]) -> Headline:
    """Return what a row of ``tasks.csv`` says."""
    metric = Metric(
        row["metric"],
        row["title"],
        str(row["unit"]),
        row["better"],
        int(row["digits"]),
        row["scale"],
    )
    beside = tuple(map(Metric.of, json.loads(row["beside"])))
    about = (row["measure"], row["chance"], row["chance_bound"], row["note"] or "")
    return Headline(metric, *about, row["example"], beside)


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table with exactly ``columns``."""
    try:
        table = pd.read_csv(path, dtype=TYPES, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}\n{_REMEDY}") from None
    earlier = [name for name in columns if name in table or name not in LATER]
    if list(table.columns) == earlier:
        table = table.reindex(columns=[*columns])
    if tuple(table.columns) != columns:
        raise RecordError(f"{path} has other columns than {', '.join(columns)}.\n{_REMEDY}")
    return table


_REMEDY = "  Make all of it, from what has run so far: bitswitch report SUITE"
