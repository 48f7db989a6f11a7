"""Read run directories, strictly: a record that does not say what it should is named by line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bitswitch.contracts.sensitivity import Score
from bitswitch.errors import RecordError
from bitswitch.results import files
from bitswitch.results.policies import PolicyFile
from bitswitch.results.result import read_result
from bitswitch.results.scores import read_scores
from bitswitch.spec.run import SensitivitySpec

Status = Literal["complete", "diverged", "collapsed"]


class Record(BaseModel):
    """A line or file of a run; keys this version does not know are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Metric(Record):
    """One line of ``metrics.jsonl``."""

    split: str
    policy: str
    metric: str
    value: float
    unit: str

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
    """What one epoch gave at one bit-width."""

    loss: float | None = None
    """None here and below: no pass of the epoch was at this bit-width."""
    top1: float | None = None
    held_out_loss: float | None = None
    held_out_top1: float | None = None
    scale_learning_rate: float | None = None
    negative_share: float | None = None
    mean_gradient: float | None = None


class Epoch(Record):
    """One line of ``train.jsonl``."""

    epoch: int
    steps: int
    learning_rate: float
    bits: dict[int, EpochBits]
    scale_gradients: dict[str, dict[int, dict[str, ScaleGradient]]] = {}


class Result(Record):
    """``result.json``, written last."""

    run_id: str
    status: Status
    diagnosis: str | None = None
    steps: int
    epochs: int
    train_time_s: float
    time_kind: Literal["cpu", "wall"]
    evaluate_time_s: float = 0.0
    other_time_s: float = 0.0
    wall_time_s: float
    peak_memory_mib: float | None = None
    parameters: int | None = None
    threads: int | None = None
    device_name: str = ""
    negative_share: dict[int, float] = {}
    reflections: int = 0


@dataclass(frozen=True)
class RunRecord:
    """Everything one complete run directory says."""

    result: Result
    metrics: list[Metric]
    epochs: list[Epoch]
    provenance: Mapping[str, Any] = field(default_factory=dict)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_run(folder: Path) -> RunRecord | None:
    """Return what the run directory ``folder`` says, or None when its run is not complete.

    Raises:
        RecordError: a file that is missing beside ``result.json``, or a line that is no record.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    result = checked(Result, read_result(folder), str(path))
    if result.run_id != folder.name:
        raise RecordError(f"{path} belongs to another run: '{result.run_id}'.\n{REMEDY}")
    return RunRecord(
        result=result,
        metrics=lines_of(Metric, folder / "metrics.jsonl"),
        epochs=lines_of(Epoch, folder / "train.jsonl"),
        provenance=_provenance(folder / "provenance.json"),
    )


class ScoringResult(Record):
    """``result.json`` of a sensitivity."""

    identifier: str
    status: Literal["complete", "diverged"]
    diagnosis: str | None = None
    time_s: float
    wall_time_s: float
    peak_memory_mib: float | None = None
    facts: dict[str, float] = {}


@dataclass(frozen=True)
class ScoringRecord:
    """Everything one complete sensitivity says."""

    result: ScoringResult
    scores: tuple[Score, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)


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

    identifier: str
    status: Literal["complete", "diverged"]
    diagnosis: str | None = None
    budgets: dict[str, BudgetResult]
    infeasible: dict[str, str] = {}
    """Why no policy meets a budget, by name."""
    wall_time_s: float
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class SearchRecord:
    """Everything one complete search says."""

    result: SearchResult
    policies: Mapping[str, PolicyFile]
    """By name of the budget."""
    metrics: list[Metric]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_scoring(folder: Path, spec: SensitivitySpec) -> ScoringRecord | None:
    """Return what the folder of a sensitivity says, or None when it is not complete.

    Raises:
        RecordError: see ``read_run``.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    return ScoringRecord(
        result=checked(ScoringResult, read_result(folder), str(path)),
        scores=read_scores(folder, spec).rows,
        provenance=files.read_json(folder / "provenance.json"),
    )


def read_search(folder: Path) -> SearchRecord | None:
    """Return what the folder of a search says, or None when it is not complete.

    Raises:
        RecordError: see ``read_run``.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    result = checked(SearchResult, read_result(folder), str(path))
    return SearchRecord(
        result=result,
        policies={
            budget: PolicyFile.read(folder / "policies" / f"{budget}.json")
            for budget in result.budgets
        },
        metrics=lines_of(Metric, folder / "metrics.jsonl"),
        provenance=files.read_json(folder / "provenance.json"),
    )


def lines_of(kind: type[AnyRecord], path: Path) -> list[AnyRecord]:
    """Return the records of ``kind`` in ``path``."""
    return [
        checked(kind, content, f"{path}, line {number}")
        for number, content in enumerate(files.read_lines(path), start=1)
    ]


def checked(kind: type[AnyRecord], content: Mapping[str, Any], where: str) -> AnyRecord:
    """Return ``content`` as a record; ``where`` is named when it is none."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        message = f"'{key}': {problem['msg']}" if key else problem["msg"]
        what = f"no {kind.__name__.lower()} record ({message})"
        raise RecordError(f"{where}: {what}: {str(content)[:80]}\n{REMEDY}") from None


def _provenance(path: Path) -> Mapping[str, Any]:
    """Return the provenance record."""
    content = files.read_json(path)
    if "code_hash" not in content:
        raise RecordError(f"{path} names no code_hash.\n{REMEDY}")
    return content


REMEDY = "  The file was damaged or edited: delete its folder and run again to make it anew."
