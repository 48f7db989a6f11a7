"""Files that the deployment of a trained network leaves beside its integer model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from bitswitch.results.correct import Correct, read_correct
from bitswitch.results.provenance import Provenance
from bitswitch.results.record import Finding, Record, TimeKind
from bitswitch.results.result import read_result

MODEL = "model.safetensors"
SWITCHES = 5
"""Of which a deployment tells the median time."""
PARITY, STORAGE, ROUNDING = "parity.jsonl", "storage.jsonl", "rounding.jsonl"

Executor = Literal["_integer", "_onnx"]
"""Ends the name of a metric in ``correct.jsonl``: what predicted the examples, the integer model or
onnxruntime."""


class Parity(Record):
    """One line of ``parity.jsonl``: training and the integer model at one bit-width."""

    bits: int
    images: int
    """Examples, as all that is called images; windows of a text are."""
    metric: str
    """Name of the headline of the task, whose values are all that starts with headline."""
    headline_trained: float
    headline_integer: float
    largest_difference: float
    """Of two logits."""
    differing: int
    """Predictions that training does not share."""
    ties: int
    """Of these, those that the tie rule excuses."""
    images_with_ties: int
    """Images with codes that differ, the first ones as ties, whatever is predicted."""
    unexplained: int
    """Images that differ for another reason: 0, or something is wrong."""
    largest_sum: int
    """Largest magnitude of an integer sum that was seen."""
    possible_sum: int
    """The largest that the codes allow."""
    headline_onnx: float | None = None
    """Of onnxruntime, as all that starts with onnx; None: it does not run this network."""
    onnx_difference: float | None = None
    onnx_differing: int | None = None
    """Predictions that the integer model does not share."""
    onnx_integer_kernels: int | None = None
    onnx_float_kernels: int | None = None
    no_onnx: str | None = None
    """Why onnxruntime does not run it."""
    predictions: int | None = None
    """Of all examples; None: one of each."""

    @model_validator(mode="before")
    @classmethod
    def _of_any_task(cls, content: Any) -> Any:
        """Read what was written when accuracy was all that there was."""
        if not isinstance(content, dict) or "top1_trained" not in content:
            return content
        renamed = {name.replace("top1_", "headline_"): value for name, value in content.items()}
        return {"metric": "top1"} | renamed


class Storage(Record):
    """One line of ``storage.jsonl``: bytes of one form of the network."""

    form: Literal["fp32", "separate", "file", "memory"]
    bits: int | None = None
    """Bit-width of a separate model, or in use in memory; None: all."""
    quantized: int
    """Of quantized layers: weights or codes, and all scales."""
    rest: int
    """Of everything else."""
    beyond: float | None = None
    """Share of the codes of a separate model that do not fit in ``bits``, each of which takes a bit
    more; None: all fit."""
    embedding_and_head: int | None = None
    """Of the rest, bytes of embeddings and of linear layers that are not quantized, the head among
    them, of a network that reads tokens; half of them would do in 16 bits. None: it reads none, or
    that was not counted."""


class Rounding(Record):
    """One line of ``rounding.jsonl``: sums over the weights of one layer at one bit-width.

    A weight beyond the last code is clipped and has no rounding error, any other is rounded and has
    no clipping error: the squared error of a layer is the sum of both.
    """

    position: int
    """Of the layer, from the input."""
    layer: str
    bits: int
    weights: int
    """How many."""
    signal: float
    """Sum of squared weights."""
    clipping: float
    """Sum of squared errors of clipped weights; the same however the others are rounded."""
    rounding: float
    """Sum of squared errors of the others, as trained and deployed: from the widest codes."""
    rounding_single: float
    """The same, were each rounded once, from its float weight."""
    differing: int
    """Codes that rounding once would make others."""
    cascade_differing: int | None = None
    """Codes that come out differently where the same widest codes are rounded to nearest once, and
    bit by bit; None: not counted."""


class DeploymentResult(Record):
    """``result.json`` of a deployment."""

    run_id: str
    status: Finding
    diagnosis: str | None = None
    time_s: float = 0.0
    time_kind: TimeKind = "cpu"
    wall_time_s: float
    peak_memory_mib: float | None = None
    switch_s: dict[int, float] = Field(default_factory=dict)
    """Seconds of a switch in memory by bit-width, see ``switch_times``; empty: not measured."""


@dataclass(frozen=True)
class DeploymentRecord:
    """Everything one complete deployment says."""

    result: DeploymentResult
    parity: list[Parity]
    storage: list[Storage]
    rounding: list[Rounding]
    correct: list[Correct]
    """Which examples the integer model and onnxruntime had right."""
    provenance: Provenance


def read_deployment(folder: Path) -> DeploymentRecord | None:
    """Return what the folder of a deployment says, or None when it is not complete.

    Raises:
        RecordError: a file that is missing or damaged, or a line that is no record.
    """
    path = folder / "result.json"
    if not path.is_file():
        return None
    return DeploymentRecord(
        result=DeploymentResult.of(read_result(folder), str(path)),
        parity=Parity.read_lines(folder / PARITY),
        storage=Storage.read_lines(folder / STORAGE),
        rounding=Rounding.read_lines(folder / ROUNDING),
        correct=read_correct(folder),
        provenance=Provenance.read(folder / "provenance.json"),
    )
