"""One run while a process works on it: its parts, where it is, and how both are saved."""

import signal
import time
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any, Self

from bitswitch.contracts.data import OpenDataset
from bitswitch.contracts.task import Task
from bitswitch.errors import CheckpointError, Interrupted, SpecError
from bitswitch.runtime.progress import Status
from bitswitch.spec.run import RunSpec
from bitswitch.training import checkpoint
from bitswitch.training.clock import Clock
from bitswitch.training.directory import RunDirectory
from bitswitch.training.interruption import StopRequest
from bitswitch.training.meter import EpochMeter
from bitswitch.training.state import TrainState
from bitswitch.training.step import PassResult
from bitswitch.types import BitSet

STEP_LINES = 2000
"""At most so many lines in ``steps.jsonl``."""


@dataclass
class Progress:
    """How far a run is."""

    meters: dict[int, EpochMeter]
    """Of the present epoch, by bit-width."""
    negative: dict[int, int]
    """Steps with a negative scale learning rate since the start, by bit-width."""
    finished: bool = False
    """Whether the method has done what follows the last training step."""
    reflections: int = 0
    """How many scales crossed zero and were mirrored since the start."""
    epoch: int = 0
    """Complete epochs, evaluated and recorded."""
    step: int = 0
    """Complete steps that have been read."""
    held_out: dict[int, float] = field(default_factory=dict)
    """The task's headline on the held-out split after the last complete epoch, by bit-width."""
    train_time_s: float = 0.0
    """At the end of the last complete epoch."""
    evaluate_time_s: float = 0.0
    """At the end of the last complete epoch."""

    @classmethod
    def start(cls, bitset: BitSet) -> Self:
        """Return the position before the first step."""
        return cls({bits: EpochMeter() for bits in bitset}, dict.fromkeys(bitset, 0))

    def count(self, results: list[PassResult], examples: int) -> None:
        """Count one step on so many ``examples``."""
        self.step += 1
        for result in results:
            if result.bits in self.meters:
                self.meters[result.bits].add(result, examples)
                self.negative[result.bits] += result.scale_learning_rate < 0


@dataclass
class TrainingRun:
    """Everything that works together in a run."""

    spec: RunSpec
    parameters: int
    """Of the float network."""
    train_state: TrainState
    dataset: OpenDataset
    task: Task
    """Of the dataset."""
    outputs: int
    """Of the network."""
    directory: RunDirectory
    clock: Clock
    stop: StopRequest
    save_interval_s: float
    """A checkpoint is saved after every epoch, and this long after the last one."""
    is_noise: bool = False
    """Whether the dataset says so."""

    def __post_init__(self) -> None:
        examples, batch = self.dataset.size("train"), self.spec.training.batch_size
        self.steps_per_epoch = examples // batch
        self.train_state.ranks.equal_share(batch)
        if self.steps_per_epoch == 0:
            raise SpecError(
                f"training.batch_size {batch} is larger than the {examples} training examples of "
                f"'{self.spec.dataset.name}'. Use {examples} or less."
            )
        self.steps = self.steps_per_epoch * self.spec.training.epochs
        self.line_interval = ceil(self.steps / STEP_LINES)
        self.at = Progress.start(self.spec.bitset)
        self._resumed_step, self._resumed_time = 0, time.monotonic()
        self._saved_time = self._resumed_time

    def resume(self, state: dict[str, Any]) -> None:
        """Take up ``state``, as ``save`` wrote it.

        Raises:
            CheckpointError: it does not fit this version of the code.
        """
        try:
            self._take_up(state)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            path = self.directory.path / checkpoint.NAME
            raise CheckpointError(
                f"{path} does not fit the code: {type(error).__name__}: {error}\n"
                f"{checkpoint.start_over(path)}"
            ) from error

    def _take_up(self, state: dict[str, Any]) -> None:
        self.clock.load_state_dict(state["clock"])
        meters = {
            bits: EpochMeter(**sums) for bits, sums in state["progress"].pop("meters").items()
        }
        self.at = Progress(meters=meters, **state["progress"])
        self._resumed_step = self.at.step
        train_state = self.train_state
        train_state.model.load_state_dict(state["model"])
        train_state.reflections = self.at.reflections
        if "optimizers" in state:
            train_state.optimizers.load_state_dict(state["optimizers"])
            train_state.distillation.check(state["remembered"])
            for bits, gradients in train_state.gradients.items():
                gradients.load_state_dict(state["gradients"][bits])

    def _check_stop(self) -> None:
        """Do nothing, unless a stop was asked for, of this rank or of another one.

        Ranks tell each other in every pass, so that all stop after the same step.

        Raises:
            Interrupted: it was.
        """
        ranks = self.train_state.ranks
        if ranks.alone:
            self.stop.check()
            return
        ranks.stopping = self.stop.signal is not None
        if ranks.stopped:
            self.stop.check()
            text = "Stopped with another process of the run; the state is saved."
            raise Interrupted(text, signal.SIGTERM)

    def save(self) -> None:
        """Write a checkpoint; one of a finished training holds no more than the model.

        Of several processes, the leading one does.

        Raises:
            Diverged: a step since the last one was the end of the training.
        """
        self.train_state.unread.read()
        if not self.train_state.ranks.leads:
            return
        with self.clock.phase("other"):
            train_state = self.train_state
            state: dict[str, Any] = {"model": train_state.model.state_dict()}
            if self.at.epoch < self.spec.training.epochs:
                state |= {
                    "optimizers": train_state.optimizers.state_dict(),
                    "remembered": train_state.distillation.sync(),
                    "gradients": {b: g.state_dict() for b, g in train_state.gradients.items()},
                }
            state |= {
                "progress": asdict(self.at),
                "lines": self.directory.sync(),
                "clock": self.clock.state_dict(),
            }
            checkpoint.save(self.directory.path / checkpoint.NAME, self.spec.run_id, state)
        self._saved_time = time.monotonic()

    def save_snapshot(self) -> None:
        """Keep the model as it is after this epoch."""
        if not self.train_state.ranks.leads:
            return
        with self.clock.phase("other"):
            path = self.directory.path / checkpoint.snapshot_name(self.at.epoch)
            checkpoint.save(path, self.spec.run_id, {"model": self.train_state.model.state_dict()})

    def save_if_due(self) -> None:
        """Write a checkpoint if the last one is old."""
        if time.monotonic() - self._saved_time >= self.save_interval_s:
            self.save()

    def between_batches(self) -> None:
        """Do what a batch may have to wait for.

        Raises:
            Interrupted: a stop was asked for.
        """
        self._check_stop()
        self.clock.keep_up()

    def heartbeat(self, at_once: bool = False) -> None:
        """Tell others how far the run is."""
        done = self.at.step - self._resumed_step
        elapsed = time.monotonic() - self._resumed_time
        status = Status(
            run_id=self.spec.run_id,
            state="running",
            epoch=self.at.epoch,
            epochs=self.spec.training.epochs,
            step=self.at.step,
            steps=self.steps,
            metric=self.task.headline._asdict(),
            held_out={str(bits): value for bits, value in self.at.held_out.items()},
            eta_s=elapsed / done * (self.steps - self.at.step) if done else None,
        )
        self.directory.heartbeat(status, at_once)
