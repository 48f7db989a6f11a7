"""Files of runs, sensitivities and searches, one class each, for who writes and who reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from bitswitch.contracts.sensitivity import Score
from bitswitch.errors import RecordError
from bitswitch.results import files
from bitswitch.results.correct import Correct, read_correct
from bitswitch.results.policies import PolicyFile
from bitswitch.results.provenance import Provenance
from bitswitch.results.record import Finding, Record, TimeKind
from bitswitch.results.result import read_result
from bitswitch.results.scores import read_scores
from bitswitch.runtime.energy import Source
from bitswitch.spec.run import SensitivitySpec

Status = Literal["complete", "diverged", "collapsed"]


Treatment = Literal["", "_recalibrated", "_uniform", "_retrained"]
"""Ends the name of a metric: what was done to the network before it was evaluated. Batch norms were
recalibrated; of a search, all layers took one bit-width; or the sub-net was trained on alone."""


PAIRED_NOISE = "_paired_noise"
"""Behind the name of a headline: the 95 % half-width of its difference to the widest bit-width of
the same network, on the same examples."""


class Metric(Record):
    """One line of ``metrics.jsonl``."""

    split: str
    policy: str
    metric: str
    value: float
    unit: str
    noise: float | None = None
    """95 % half-width of a headline on the test split, from its size alone; None: not known."""

    @model_validator(mode="after")
    def _percent_in_range(self) -> Self:
        if self.unit == "percent" and not 0 <= self.value <= 100:
            raise ValueError(f"{self.metric} is {self.value}, not between 0 and 100 percent")
        return self


class ScaleGradient(Record):
    """Statistics of one layer's scale gradient over an epoch."""

    mean_abs: float
    std: float
    max_abs: float


class EpochBits(Record):
    """What one epoch gave at one bit-width; besides, metrics of the task by name.

    They are its headline in training, and all of them as ``held_out_<name>``.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, float | None]

    loss: float | None = None
    """None here and in what follows: no pass of the epoch was at this bit-width."""
    scale_learning_rate: float | None = None
    negative_share: float | None = None
    mean_gradient: float | None = None
    held_out_loss: float

    @model_serializer(mode="wrap")
    def _in_order(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return what the file says: of training first, of held-out examples last."""
        metrics = self.model_extra or {}

        def place(name: str) -> int:
            if name == "loss":
                return 0
            return 3 if name.startswith("held_out_") else 1 if name in metrics else 2

        said = fields(self)
        return {name: said[name] for name in sorted(said, key=place)}


class Epoch(Record):
    """One line of ``train.jsonl``."""

    epoch: int
    steps: int
    learning_rate: float
    bits: dict[int, EpochBits]
    scale_gradients: dict[str, dict[int, dict[str, ScaleGradient]]] = Field(default_factory=dict)


class Step(Record):
    """One line of ``steps.jsonl``: what one step gave, by bit-width."""

    step: int
    loss: dict[int, float]
    scale_learning_rate: dict[int, float]
    mean_gradient: dict[int, float]


class Timing(Record):
    """One line of ``timing.jsonl``: what one epoch took."""

    epoch: int
    train_time_s: float
    evaluate_time_s: float
    step_time_s: float
    peak_memory_mib: float


class Result(Record):
    """``result.json`` of a run."""

    run_id: str
    status: Status
    diagnosis: str | None = None
    parameters: int | None = None
    """Of the float network; None: it was never made."""
    steps: int
    epochs: int
    train_time_s: float
    time_kind: TimeKind
    evaluate_time_s: float = 0.0
    other_time_s: float = 0.0
    wall_time_s: float
    peak_memory_mib: float | None = None
    energy_j: float | None = None
    """Of the whole run but its start; this and the next: None where no counter was read."""
    train_energy_j: float | None = None
    energy_source: Source | None = None
    """What the counter is of."""
    energy_shared: bool | None = None
    """Whether other processes had a part in it."""
    no_energy: str = ""
    """Why it is not known; empty too in results of before it was measured."""
    reflections: int = 0
    negative_share: dict[int, float] = Field(default_factory=dict)
    threads: int | None = None
    device_name: str = ""


@dataclass(frozen=True)
class RunRecord:
    """Everything one complete run directory says."""

    result: Result
    metrics: list[Metric]
    epochs: list[Epoch]
    provenance: Provenance
    correct: list[Correct]


def read_run(folder: Path) -> RunRecord | None:
    """Return what the run directory ``folder`` says, or None when its run is not complete.

    Raises:
        RecordError: a file that is missing beside ``result.json``, or a line that is no record.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    result = Result.of(read_result(folder), str(path))
    if result.run_id != folder.name:
        raise RecordError(f"{path} belongs to another run: '{result.run_id}'.\n  {files.REMEDY}")
    return RunRecord(
        result=result,
        metrics=Metric.read_lines(folder / "metrics.jsonl"),
        epochs=Epoch.read_lines(folder / "train.jsonl"),
        provenance=_provenance(folder / "provenance.json"),
        correct=read_correct(folder),
    )


class ScoringResult(Record):
    """``result.json`` of a sensitivity."""

    identifier: str
    status: Finding
    diagnosis: str | None = None
    time_s: float
    time_kind: TimeKind = "cpu"
    wall_time_s: float
    peak_memory_mib: float | None = None
    images: int | None = None
    """Training images that were seen; None: as many as the spec says, or it diverged before."""
    facts: dict[str, int | float] = Field(default_factory=dict)


@dataclass(frozen=True)
class ScoringRecord:
    """Everything one complete sensitivity says."""

    result: ScoringResult
    scores: tuple[Score, ...]
    provenance: Provenance


class BudgetResult(Record):
    """What a search says of one budget."""

    limit: float
    cost: float
    objective: float | None = None
    candidates: int
    evaluations: int
    search_time_s: float
    retraining_epochs: int = 0
    retraining_time_s: float = 0.0
    uniform_bits: int | None = None
    """The widest bit-width for all layers within the budget; None: there is none."""
    uniform_cost: float | None = None
    """What the budget limits, at that bit-width."""


class SearchResult(Record):
    """``result.json`` of a search."""

    status: Finding
    diagnosis: str | None = None
    budgets: dict[str, BudgetResult]
    infeasible: dict[str, str] = Field(default_factory=dict)
    """Why no policy meets a budget, by name."""
    identifier: str
    time_kind: TimeKind = "cpu"
    wall_time_s: float
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class SearchRecord:
    """Everything one complete search says."""

    result: SearchResult
    policies: Mapping[str, PolicyFile]
    """By name of the budget."""
    metrics: list[Metric]
    provenance: Provenance
    correct: list[Correct]


def read_scoring(folder: Path, spec: SensitivitySpec) -> ScoringRecord | None:
    """Return what the folder of a sensitivity says, or None when it is not complete.

    Raises:
        RecordError: see ``read_run``.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    return ScoringRecord(
        result=ScoringResult.of(read_result(folder), str(path)),
        scores=read_scores(folder, spec).rows,
        provenance=Provenance.read(folder / "provenance.json"),
    )


def read_search(folder: Path) -> SearchRecord | None:
    """Return what the folder of a search says, or None when it is not complete.

    Raises:
        RecordError: see ``read_run``.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    result = SearchResult.of(read_result(folder), str(path))
    return SearchRecord(
        result=result,
        policies={
            budget: PolicyFile.read(folder / "policies" / f"{budget}.json")
            for budget in result.budgets
        },
        metrics=Metric.read_lines(folder / "metrics.jsonl"),
        provenance=Provenance.read(folder / "provenance.json"),
        correct=read_correct(folder),
    )


def _provenance(path: Path) -> Provenance:
    """Return the provenance of a run, which names its code."""
    found = Provenance.read(path)
    if found.code_hash is None:
        raise RecordError(f"{path} names no code_hash.\n  {files.REMEDY}")
    return found
