"""The tidy tables that everything in a report is made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.contracts.sensitivity import Score
from bitswitch.errors import RecordError
from bitswitch.report.collect.headline import Headline
from bitswitch.results.deployments import Rounding, Storage
from bitswitch.results.files import write_bytes
from bitswitch.results.records import ScaleGradient
from bitswitch.results.result import read_result, write_result
from bitswitch.spec import yaml_text
from bitswitch.spec.yaml_files import read_yaml
from bitswitch.suite.suite import Suite

METRICS = (
    "suite",
    "data",
    "source",
    "experiment",
    "network",
    "method",
    "model",
    "dataset",
    "bitset",
    "variant",
    "seed",
    "search",
    "search_seed",
    "policy",
    "split",
    "metric",
    "value",
    "unit",
    "noise",
    "run",
    "status",
    "where",
)
"""Columns of ``metrics.csv``. ``source`` is ``reproduced`` or ``published``; ``where`` says why a
value is missing, or in which printed table it stands. ``search`` is the identifier of the search
that found the policy; then ``policy`` is the name of its budget, else a bit-width. ``noise`` is the
95 % half-width of a headline on the test split, from its size alone; empty where not known."""

CURVES = (
    "run",
    "epoch",
    "steps",
    "learning_rate",
    "bits",
    "loss",
    "headline",
    "held_out_loss",
    "held_out_headline",
    "scale_learning_rate",
    "negative_share",
    "mean_gradient",
)
"""Columns of ``curves.csv``: one row per run, epoch and bit-width; ``headline``: of its task."""

SCALE_GRADIENTS = (
    "run",
    "epoch",
    "operand",
    "bits",
    "position",
    "layer",
    *ScaleGradient.model_fields,
)
"""Columns of ``scale_gradients.csv``; ``position`` counts layers from the input, from 0."""

TASKS = (
    "network",
    "metric",
    "title",
    "unit",
    "better",
    "digits",
    "measure",
    "chance",
    "chance_bound",
    "note",
)
"""Columns of ``tasks.csv``: one row per network of the suite, about the headline of its task:
``measure``, what sentences call it; ``chance``, of a network that knows nothing, and
``chance_bound``, up to which it may be guessing on the test split; empty where that is not known.
"""

RUNS = (
    "run",
    "status",
    "diagnosis",
    "method",
    "model",
    "dataset",
    "bitset",
    "seed",
    "epochs",
    "batch_size",
    "learning_rate",
    "update",
    "alrs",
    "storage",
    "steps",
    "train_time_s",
    "time_kind",
    "evaluate_time_s",
    "other_time_s",
    "wall_time_s",
    "peak_memory_mib",
    "parameters",
    "threads",
    "device_name",
    "negative_share",
    "reflections",
    "data_stamp",
    "classes",
    "test_images",
    "bitswitch_version",
    "commit",
    "code_hash",
    "python",
    "torch",
    "torchvision",
    "platform",
    "started",
    "finished",
)
"""Columns of ``runs.csv``: one row per run, complete or not."""

METHODS = (
    "method",
    "title",
    "source",
    "fidelity",
    "storage",
    "licence",
    "first_last_bits",
    "left_open",
    "deviations",
    "missing",
    "published_recipes",
)
"""Columns of ``methods.csv``: one row per method of the suite, from its card;
``published_recipes`` is JSON."""

SENSITIVITIES = (
    "sensitivity",
    "plugin",
    "run",
    "model",
    "epoch",
    "bitset",
    "seed",
    "images",
    "status",
    "diagnosis",
    "time_s",
    "wall_time_s",
    "peak_memory_mib",
    "facts",
    "code_hash",
)
"""Columns of ``sensitivities.csv``: one row per sensitivity; ``epoch`` is empty for the trained
network, 0 for the one before training; ``facts`` is JSON."""

SCORES = ("sensitivity", "position", *Score._fields)
"""Columns of ``scores.csv``: one row per score; ``position`` counts layers from the input."""

SENSITIVITY_USES = (
    "experiment",
    "network",
    "variant",
    "bitset",
    "seed",
    "use",
    "sensitivity",
)
"""Columns of ``sensitivity_uses.csv``: which sensitivity serves which place; ``use`` is
``reported``, ``guide`` of the training, or ``search``."""

NEEDS = ("job", "needs")
"""Columns of ``needs.csv``: which run or sensitivity a run, sensitivity or search needs, one per
row; what those need stands in rows of its own."""

POLICIES = (
    "search",
    "plugin",
    "run",
    "model",
    "seed",
    "budget",
    "cost",
    "limit",
    "tied",
    "status",
    "diagnosis",
    "objective",
    "held_out_headline",
    "candidates",
    "evaluations",
    "search_time_s",
    "retraining_epochs",
    "retraining_time_s",
    "uniform_bits",
    "uniform_cost",
    "first_last",
    "bitops",
    "size",
    "average_bits",
    "weighted_average_bits",
    "activation_bits",
    "latency",
    "code_hash",
)
"""Columns of ``policies.csv``: one row per search and budget; ``cost`` is what that limits."""

POLICY_LAYERS = (
    "search",
    "budget",
    "position",
    "layer",
    "weight_bits",
    "activation_bits",
)
"""Columns of ``policy_layers.csv``: one row per layer of every policy."""

DEPLOYMENTS = (
    "run",
    "bits",
    "status",
    "diagnosis",
    "images",
    "metric",
    "headline_trained",
    "headline_integer",
    "headline_onnx",
    "largest_difference",
    "onnx_difference",
    "differing",
    "onnx_differing",
    "onnx_integer_kernels",
    "onnx_float_kernels",
    "no_onnx",
    "ties",
    "images_with_ties",
    "unexplained",
    "largest_sum",
    "possible_sum",
    "code_hash",
)
"""Columns of ``deployments.csv``: one row per run that is deployed, and bit-width. ``metric`` is
the headline of the task, whose values begin with ``headline``. ``differing``: predictions that
training does not share, of them ``ties``; those of ``onnx`` are set against the integer model, and
``no_onnx`` says why there are none; ``largest_sum`` and ``possible_sum``: magnitude of integer
sums, seen and at worst."""

STORAGE = ("run", *Storage.model_fields)
"""Columns of ``storage.csv``, bytes: ``fp32`` weights, a ``separate`` model for each bit-width, one
``file`` for all, and that in ``memory`` at each bit-width; of quantized layers and of the rest."""

ROUNDING = ("run", *Rounding.model_fields)
"""Columns of ``rounding.csv``: sums of squares over the weights of a layer at a bit-width."""

TABLES = {
    "metrics": METRICS,
    "tasks": TASKS,
    "runs": RUNS,
    "methods": METHODS,
    "curves": CURVES,
    "scale_gradients": SCALE_GRADIENTS,
    "sensitivities": SENSITIVITIES,
    "scores": SCORES,
    "sensitivity_uses": SENSITIVITY_USES,
    "needs": NEEDS,
    "policies": POLICIES,
    "policy_layers": POLICY_LAYERS,
    "deployments": DEPLOYMENTS,
    "storage": STORAGE,
    "rounding": ROUNDING,
}

_NUMBERS = ("seed", "search_seed", "epoch")
"""Columns of whole numbers that may be empty."""

_TYPES = dict.fromkeys(_NUMBERS, "Int64") | dict.fromkeys(
    (
        *("bitset", "policy", "run", "commit", "code_hash", "variant", "network"),
        *("search", "sensitivity", "budget", "diagnosis", "unit"),
    ),
    "str",
)
"""Columns whose type their content may not decide."""


def frame(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return ``rows`` as a frame with exactly ``columns``."""
    found = pd.DataFrame(list(rows), columns=list(columns))
    return found.astype({name: "Int64" for name in _NUMBERS if name in columns})


@dataclass(frozen=True)
class Frames:
    """The collected tables of one suite."""

    suite: Suite
    """As collected, titles included."""
    metrics: pd.DataFrame
    tasks: pd.DataFrame
    runs: pd.DataFrame
    methods: pd.DataFrame
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
    def headlines(self) -> dict[str, Headline]:
        """The headline of every network that an experiment of the suite names."""
        table = self.tasks.astype(object)
        rows = table.where(table.notna(), None).to_dict("records")
        return {str(row["network"]): _headline(row) for row in rows}

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

    def data_of(self, runs: Iterable[object]) -> list[str]:
        """Return what those of ``runs`` that came to an end were trained on, each once."""
        chosen = self.runs[self.runs.run.isin(self.ended.intersection(runs))]
        return [str(stamp) for stamp in dict.fromkeys(chosen.data_stamp)]

    def write(self, folder: Path) -> None:
        """Write one CSV file per table and ``suite.yaml`` below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        content = self.suite.model_dump(mode="json", exclude_defaults=True)
        text = yaml_text.dump(content)
        write_bytes(folder / "suite.yaml", text.encode())
        for name in TABLES:
            table: pd.DataFrame = getattr(self, name)
            write_bytes(folder / f"{name}.csv", table.to_csv(index=False).encode())
        files = ("suite.yaml", *(f"{name}.csv" for name in TABLES))
        write_result(folder, {"suite": self.suite.name}, files)

    @classmethod
    def read(cls, folder: Path, *names: str, kept: bool = False) -> Self:
        """Return what ``write`` left in ``folder``.

        Args:
            folder: ``results/<suite>``.
            names: Tables that are needed, the others stay empty; default: all.
            kept: Whether these are some tables that someone keeps, without their checksums.

        Raises:
            RecordError: a table is missing, damaged or edited, or mixes embedded and published
                scale.
        """
        if not (folder / "suite.yaml").exists():
            raise RecordError(f"Nothing has been collected in {folder} yet.\n{_REMEDY}")
        if not kept:
            needed = (f"{name}.csv" for name in names or TABLES)
            read_result(folder, "suite.yaml", *needed, remedy=_REMEDY)
        frames = cls(
            suite=Suite.model_validate(read_yaml(folder / "suite.yaml")),
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
        row["metric"], row["title"], str(row["unit"]), row["better"], int(row["digits"])
    )
    return Headline(metric, row["measure"], row["chance"], row["chance_bound"], row["note"] or "")


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table with exactly ``columns``."""
    try:
        table = pd.read_csv(path, dtype=_TYPES, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}\n{_REMEDY}") from None
    if tuple(table.columns) != columns:
        raise RecordError(f"{path} has other columns than {', '.join(columns)}.\n{_REMEDY}")
    return table


_REMEDY = "  Make all of it, from what has run so far: bitswitch report SUITE"
