"""One run from its first file to its last."""

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import torch

from bitswitch.errors import CheckpointError
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results import correct
from bitswitch.results.provenance import Provenance
from bitswitch.results.records import Result
from bitswitch.results.scores import read_scores
from bitswitch.runtime.ranks import Ranks
from bitswitch.spec.run import RunSpec
from bitswitch.stages import metrics
from bitswitch.stages.execution import Execution
from bitswitch.stages.finish import conclude, measured
from bitswitch.stages.job import Job
from bitswitch.stages.metrics import Lines
from bitswitch.training import checkpoint, predictions
from bitswitch.training.build import Parts, start_model
from bitswitch.training.clock import Instant
from bitswitch.training.directory import RunDirectory
from bitswitch.training.interruption import StopRequest
from bitswitch.training.loop import run_epochs
from bitswitch.training.session import Progress, TrainingRun

log = logging.getLogger(__name__)


class TrainingJob(Job):
    """A training run, begun or continued, and its evaluation.

    Args:
        parts: Plugins of the run.
        execution: How it is executed.
        began: When it began.
        directory: Locked.
        stop: Listening.
        ranks: Of the run.
        source: Folder that a checkpoint is taken up from; the leading rank's own.
    """

    stage = "train"

    def __init__(
        self,
        parts: Parts,
        execution: Execution,
        began: Instant,
        directory: RunDirectory,
        stop: StopRequest,
        ranks: Ranks,
        source: Path,
    ) -> None:
        super().__init__(directory.path, parts.spec, execution, began)
        self.ranks = ranks
        self.source = source
        self.parts = parts
        self.directory = directory
        self.stop = stop
        self.at = Progress.start(parts.spec.bitset)
        self.parameters: int | None = None

    def train(self) -> None:
        """Train from where the last checkpoint is to the end, and evaluate."""
        run = self.parts.spec
        state = _last_state(run, self.source, self.execution.device)
        self.directory.open_lines(state["lines"] if state else {})
        data = self.parts.data_facts(self.execution.data)
        facts, before = self.facts(self.parts.modules, data), self.before()
        self.identify(facts.after(before) if state and before else facts)
        session = self._session(fresh=not state)
        if state:
            session.resume(state)
        self.at, self.parameters = session.at, session.parameters
        log.info("%s: step %d of %d", run.run_id, session.at.step, session.steps)
        run_epochs(session)
        self.status, self.diagnosis = conclude(session)

    def facts(
        self, modules: Iterable[str], data: Mapping[str, str] = MappingProxyType({})
    ) -> Provenance:
        facts, count = super().facts(modules, data), self.ranks.count
        return facts if count == 1 else facts.model_copy(update={"processes": count})

    def _session(self, fresh: bool) -> TrainingRun:
        """Return the run, ready to train.

        Args:
            fresh: Whether the network it starts from is loaded; else a checkpoint will be.
        """
        parts, execution = self.parts, self.execution
        dataset = parts.open(execution.data, execution.device)
        if fresh:
            (self.folder / predictions.NAME).unlink(missing_ok=True)
            model = start_model(parts, execution.runs, dataset, execution.device)
            self.ranks.broadcast((*model.parameters(), *model.buffers()))
        else:
            model = parts.quantized(parts.float_net(), execution.device)
        _set_sensitivity(parts, execution)
        return TrainingRun(
            spec=parts.spec,
            parameters=model.float_parameters,
            train_state=parts.train_state(model, dataset.size("train"), self.folder, self.ranks),
            dataset=dataset,
            task=parts.dataset.task,
            outputs=parts.dataset.outputs,
            directory=self.directory,
            clock=self.clock,
            stop=self.stop,
            save_interval_s=execution.save_interval_s,
            is_noise=parts.dataset.is_noise,
        )

    def write(self) -> tuple[str, ...]:
        if self.status == "diverged":
            Lines().write(self.folder)
        return "train.jsonl", metrics.NAME, correct.NAME

    def result(self) -> Result:
        return Result(
            run_id=self.parts.spec.run_id,
            parameters=self.parameters,
            threads=self.provenance.threads,
            device_name=self.provenance.device_name or "",
            **measured(self.at, self.clock),
            **self.ending(),
        )


def run_job(run: RunSpec, execution: Execution, began: Instant) -> None:
    """Train and evaluate ``run``, or continue it; see ``bitswitch.stages.train``."""
    parts = Parts.of(run)
    folder = execution.runs / run.run_id
    with (
        StopRequest() as stop,
        Ranks.joined_on(execution.device) as ranks,
        _directory(folder, ranks) as directory,
    ):
        with TrainingJob(parts, execution, began, directory, stop, ranks, folder) as job:
            job.train()
        (directory.path / predictions.NAME).unlink(missing_ok=True)


@contextmanager
def _directory(folder: Path, ranks: Ranks) -> Iterator[RunDirectory]:
    """Yield the directory of a run; all ranks but the leading one work on a copy, which is lost.

    Nobody reads a checkpoint before the leading rank keeps other runs out.
    """
    if ranks.leads:
        with RunDirectory(folder) as directory:
            ranks.meet()
            yield directory
            ranks.meet()
        return
    ranks.meet()
    with TemporaryDirectory(prefix="bitswitch-") as name:
        copy = Path(name) / folder.name
        copy.mkdir()
        for lines in folder.glob("*.jsonl"):
            shutil.copy(lines, copy)
        with RunDirectory(copy) as directory:
            yield directory
        ranks.meet()


def _last_state(run: RunSpec, folder: Path, device: torch.device) -> dict[str, Any]:
    """Return the state that was saved last, or an empty one."""
    path = folder / checkpoint.NAME
    state = checkpoint.load(path, run.run_id, device) if path.exists() else {}
    if state and "lines" not in state:
        raise CheckpointError(
            f"{path} was saved by an earlier version of bitswitch.\n{checkpoint.start_over(path)}"
        )
    return state


def _set_sensitivity(parts: Parts, execution: Execution) -> None:
    """Tell the method how sensitive layers are, if the spec says by what.

    Raises:
        RecordError: the scores are not there.
    """
    wanted = parts.spec.sensitivity
    if wanted is not None:
        scores = read_scores(execution.sensitivities / wanted.identifier, wanted)
        with plugin_errors(f"method '{parts.spec.method.name}'", "set_sensitivity()"):
            parts.method.set_sensitivity(scores)
