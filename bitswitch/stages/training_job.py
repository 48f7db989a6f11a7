"""One run from its first file to its last."""

import logging
from pathlib import Path
from typing import Any

import torch

from bitswitch.errors import CheckpointError, Diverged
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results import provenance
from bitswitch.results.files import read_json, write_bytes, write_json, write_lines
from bitswitch.results.result import write_result
from bitswitch.results.scores import read_scores
from bitswitch.runtime import devices
from bitswitch.spec import yaml_text
from bitswitch.spec.run import RunSpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.finish import conclude, measured
from bitswitch.training import checkpoint, predictions
from bitswitch.training.build import Parts, start_model
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.directory import RunDirectory
from bitswitch.training.interruption import StopRequest
from bitswitch.training.loop import run_epochs
from bitswitch.training.session import Progress, TrainingRun

log = logging.getLogger(__name__)

FILES = ("provenance.json", "train.jsonl", "metrics.jsonl")
"""What others read of a finished run, besides its networks."""


def run_job(run: RunSpec, execution: Execution, began: Instant) -> None:
    """Train and evaluate ``run``, or continue it; see ``bitswitch.stages.train``."""
    torch.set_num_threads(execution.threads)
    parts, clock = Parts.of(run), Clock(execution.device, began)
    with StopRequest() as stop, RunDirectory(execution.runs / run.run_id) as directory:
        state = _last_state(run, directory.path, execution.device)
        directory.open_lines(state["lines"] if state else {})
        facts = _identify(parts, directory.path, execution, continued=bool(state))
        at, parameters = Progress.start(run.bitset), None
        try:
            session = _open(parts, execution, directory, clock, stop, fresh=not state)
            if state:
                session.resume(state)
            at, parameters = session.at, session.parameters
            log.info("%s: step %d of %d", run.run_id, at.step, session.steps)
            run_epochs(session)
            status, diagnosis = conclude(session)
        except Diverged as finding:
            status, diagnosis = "diverged", str(finding)
            write_lines(directory.path / "metrics.jsonl", [])
        outcome: dict[str, Any] = {"run_id": run.run_id, "status": status, "diagnosis": diagnosis}
        outcome |= {"parameters": parameters, **measured(at, clock)}
        _close(directory.path, facts, outcome)


def _close(folder: Path, facts: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Write the last two files; from ``result.json`` on the run counts as finished."""
    write_json(folder / "provenance.json", {**facts, "finished": provenance.now()})
    machine = {key: facts[key] for key in ("threads", "device_name")}
    write_result(folder, {**outcome, **machine}, FILES)
    (folder / predictions.NAME).unlink(missing_ok=True)
    because = f": {outcome['diagnosis']}" if outcome["diagnosis"] else ""
    log.info("%s: %s%s", outcome["run_id"], outcome["status"], because)


def _last_state(run: RunSpec, folder: Path, device: torch.device) -> dict[str, Any]:
    """Return the state that was saved last, or an empty one."""
    path = folder / checkpoint.NAME
    state = checkpoint.load(path, run.run_id, device) if path.exists() else {}
    if state and "lines" not in state:
        raise CheckpointError(
            f"{path} was saved by an earlier version of bitswitch.\n{checkpoint.start_over(path)}"
        )
    return state


def _identify(parts: Parts, folder: Path, execution: Execution, continued: bool) -> dict[str, Any]:
    """Write what is run, by what; return the latter."""
    content = yaml_text.dump(parts.spec.model_dump(mode="json"))
    write_bytes(folder / "spec.yaml", content.encode())
    device = execution.device
    facts = provenance.collect(
        parts.modules, str(device), devices.product_name(device), execution.threads
    )
    path = folder / "provenance.json"
    if continued:
        facts = provenance.continued(read_json(path), facts)
    write_json(path, facts)
    return facts


def _open(
    parts: Parts,
    execution: Execution,
    directory: RunDirectory,
    clock: Clock,
    stop: StopRequest,
    fresh: bool,
) -> TrainingRun:
    """Return the session of a run.

    Args:
        parts: Plugins of the run.
        execution: How it is executed.
        directory: Locked.
        clock: Running.
        stop: Listening.
        fresh: Whether the network it starts from is loaded; else a checkpoint will be.
    """
    spec, device = parts.spec, execution.device
    dataset = parts.open(execution.data, device)
    if fresh:
        (directory.path / predictions.NAME).unlink(missing_ok=True)
        model = start_model(parts, execution.runs, dataset, device)
    else:
        model = parts.quantized(parts.float_net(), device)
    _guide(parts, execution)
    return TrainingRun(
        spec=spec,
        parameters=model.float_parameters,
        train_state=parts.train_state(model, dataset.size("train"), directory.path),
        dataset=dataset,
        classes=parts.dataset.outputs,
        directory=directory,
        clock=clock,
        stop=stop,
        save_interval_s=execution.save_interval_s,
    )


def _guide(parts: Parts, execution: Execution) -> None:
    """Tell the method how sensitive layers are, if the spec says by what.

    Raises:
        RecordError: the scores are not there.
    """
    wanted = parts.spec.sensitivity
    if wanted is not None:
        scores = read_scores(execution.sensitivities / wanted.identifier, wanted)
        with plugin_errors(f"method '{parts.spec.method.name}'", "set_sensitivity()"):
            parts.method.set_sensitivity(scores)
