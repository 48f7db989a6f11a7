"""One deployment from its first file to its last: export, parity, storage, rounding errors."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from bitswitch.deployment import container
from bitswitch.deployment.export import export
from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx import parity
from bitswitch.deployment.storage import forms
from bitswitch.deployment.verification.parity import BATCH_SIZE, compare
from bitswitch.deployment.verification.rounding_error import rounding_errors
from bitswitch.errors import Diverged, EncodingError
from bitswitch.results import provenance
from bitswitch.results.files import write_json, write_lines
from bitswitch.results.result import write_result
from bitswitch.runtime import devices
from bitswitch.runtime.drafts import remove_lost
from bitswitch.spec.run import RunSpec
from bitswitch.stages.execution import Execution
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.trained import Trained, load_trained

log = logging.getLogger(__name__)

FILE = "model.safetensors"
RECORDS = ("parity", "storage", "rounding")
"""Files of lines, without their suffix."""

Lines = list[dict[str, Any]]


def run_deployment(run: RunSpec, execution: Execution, began: Instant) -> None:
    """Write the integer model of ``run`` and what it is found to be; see ``stages.deploy``."""
    torch.set_num_threads(execution.threads)
    folder, clock = execution.deployments / run.run_id, Clock(execution.device, began)
    folder.mkdir(parents=True, exist_ok=True)
    remove_lost(folder)
    facts: dict[str, Any] = {}
    outcome: dict[str, Any] = {"run_id": run.run_id, "status": "complete", "diagnosis": None}
    found: dict[str, Lines] = {name: [] for name in RECORDS}
    try:
        export(run, execution.runs, folder / FILE)
        trained = load_trained(run, execution.runs, execution.data, execution.device, "deploy")
        facts = provenance.collect(
            trained.parts.modules,
            str(execution.device),
            devices.product_name(execution.device),
            execution.threads,
            "deploy",
        )
        with clock.phase("evaluate"):
            found = _found(folder / FILE, trained, execution.device)
    except Diverged as finding:
        outcome |= {"status": "diverged", "diagnosis": str(finding)}
    for name, lines in found.items():
        write_lines(folder / f"{name}.jsonl", lines)
    write_json(folder / "provenance.json", {**facts, "finished": provenance.now()})
    spent = clock.read()
    outcome |= {
        "time_s": spent["evaluate"],
        "time_kind": clock.kind,
        "wall_time_s": spent["wall"],
        "peak_memory_mib": clock.peak_memory_mib(),
    }
    write_result(folder, outcome, ("provenance.json", *(f"{name}.jsonl" for name in RECORDS)))
    log.info("%s: %s", run.run_id, outcome["status"])


def _found(file: Path, trained: Trained, device: torch.device) -> dict[str, Lines]:
    """Return the lines of all files of records, by name."""
    model = load(file, device)
    tensors = container.read(file)[1]
    float_net = trained.parts.float_net()
    return {
        "parity": list(_parity(trained, model)),
        "storage": [one._asdict() for one in forms(file, tensors, model, float_net)],
        "rounding": [one._asdict() for one in rounding_errors(trained.model)],
    }


def _parity(trained: Trained, model: IntegerModel) -> Iterator[dict[str, Any]]:
    """Yield one line per bit-width, on the whole test split."""
    possible = max((bound.by_codes for bound in model.bounds().values()), default=0)
    for bits in model.bitset:
        batches = trained.dataset.batches("test", BATCH_SIZE)
        line = compare(trained.model, model, batches, bits).as_json()
        seen = line.pop("accumulators")
        largest = {"largest_sum": max(seen.values(), default=0), "possible_sum": possible}
        yield {"bits": line.pop("policy")} | line | largest | _by_onnxruntime(trained, model, bits)


def _by_onnxruntime(trained: Trained, model: IntegerModel, bits: int) -> dict[str, Any]:
    """Return how far onnxruntime agrees with ``model``, or why it does not run it."""
    batches = trained.dataset.batches("test", BATCH_SIZE)
    try:
        found = parity.compare(model, batches, bits)
    except EncodingError as error:
        return {"no_onnx": str(error)}
    return {
        "top1_onnx": found.top1_onnxruntime,
        "onnx_difference": found.largest_difference,
        "onnx_differing": found.differing,
        "onnx_integer_kernels": found.kernels.integer,
        "onnx_float_kernels": found.kernels.floating,
    }
