"""What the jobs that deploy trained networks have left, and rows about it for the tidy tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bitswitch.results import files
from bitswitch.results.records import Record, checked, lines_of
from bitswitch.results.result import read_result
from bitswitch.suite.suite import Suite


class Parity(Record):
    """One line of ``parity.jsonl``: training and the integer model at one bit-width."""

    bits: int
    images: int
    top1_trained: float
    top1_integer: float
    top1_onnx: float | None = None
    """Of onnxruntime, as all that starts with onnx; None: it does not run this network."""
    largest_difference: float
    onnx_difference: float | None = None
    differing: int
    onnx_differing: int | None = None
    """Predictions that the integer model does not share."""
    onnx_integer_kernels: int | None = None
    onnx_float_kernels: int | None = None
    no_onnx: str | None = None
    """Why onnxruntime does not run it."""
    ties: int
    images_with_ties: int
    unexplained: int
    largest_sum: int
    possible_sum: int


class Storage(Record):
    """One line of ``storage.jsonl``: bytes of one form of the network."""

    form: Literal["fp32", "separate", "file", "memory"]
    bits: int | None = None
    quantized: int
    rest: int


class Rounding(Record):
    """One line of ``rounding.jsonl``: sums over the weights of one layer at one bit-width."""

    position: int
    layer: str
    bits: int
    weights: int
    signal: float
    clipping: float
    rounding: float
    rounding_single: float
    differing: int


class DeploymentResult(Record):
    """``result.json`` of a deployment."""

    run_id: str
    status: Literal["complete", "diverged"]
    diagnosis: str | None = None
    wall_time_s: float
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class DeploymentRecord:
    """Everything one complete deployment says."""

    result: DeploymentResult
    parity: list[Parity]
    storage: list[Storage]
    rounding: list[Rounding]
    provenance: Mapping[str, Any] = field(default_factory=dict)


Row = dict[str, Any]
Records = Mapping[str, DeploymentRecord | None]


def read_deployment(folder: Path) -> DeploymentRecord | None:
    """Return what the folder of a deployment says, or None when it is not complete.

    Raises:
        RecordError: see ``run_records.read_run``.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    return DeploymentRecord(
        result=checked(DeploymentResult, read_result(folder), str(path)),
        parity=lines_of(Parity, folder / "parity.jsonl"),
        storage=lines_of(Storage, folder / "storage.jsonl"),
        rounding=lines_of(Rounding, folder / "rounding.jsonl"),
        provenance=files.read_json(folder / "provenance.json"),
    )


def parity_rows(suite: Suite, found: Records) -> Iterator[Row]:
    """Yield one row per deployed run and bit-width, compared or not."""
    for key, run in suite.deployments.items():
        record = found[key]
        row: Row = {"run": key, "status": "missing"}
        if record is not None:
            about = record.result.model_dump(include={"status", "diagnosis"})
            row |= about | {"code_hash": record.provenance.get("code_hash")}
        if record is not None and record.parity:
            yield from (row | line.model_dump() for line in record.parity)
        else:
            yield from (row | {"bits": bits} for bits in run.bitset)


def storage_rows(found: Records) -> Iterator[Row]:
    """Yield one row per deployed run and form of it."""
    yield from (
        {"run": key, **line.model_dump()}
        for key, record in found.items()
        for line in (record.storage if record else ())
    )


def rounding_rows(found: Records) -> Iterator[Row]:
    """Yield one row per deployed run, layer and bit-width."""
    yield from (
        {"run": key, **line.model_dump()}
        for key, record in found.items()
        for line in (record.rounding if record else ())
    )
