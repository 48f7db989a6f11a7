"""The training loop: epochs of steps, each followed by an evaluation, a record and a checkpoint."""

import logging
from contextlib import suppress
from functools import partial

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import StepInfo
from bitswitch.contracts.metric import LOSS, Found
from bitswitch.contracts.streams import Stream
from bitswitch.errors import Interrupted, PluginError
from bitswitch.plugins.guard import guarded_batches, plugin_errors
from bitswitch.results.records import Epoch, EpochBits, Step, Timing
from bitswitch.runtime.randomness import generator, seed_step
from bitswitch.training.evaluation import evaluate
from bitswitch.training.health import check_loss
from bitswitch.training.meter import EpochMeter
from bitswitch.training.session import TrainingRun
from bitswitch.training.shares import share_of
from bitswitch.training.step import PassResult, queue_step
from bitswitch.training.unread import STEPS
from bitswitch.training.updates.optimizers import scheduled
from bitswitch.training.updates.scale_gradients import OPERANDS

log = logging.getLogger(__name__)


def run_epochs(session: TrainingRun) -> None:
    """Train from where ``session`` is to the end.

    Raises:
        Diverged: training cannot go on.
        Interrupted: it was asked to stop, and the state is saved.
        PluginError: a method, model or dataset raised an error.
    """
    session.heartbeat(at_once=True)
    if not session.train_state.method.trains:
        session.at.epoch = session.spec.training.epochs
    try:
        while session.at.epoch < session.spec.training.epochs:
            with session.clock.phase("train"):
                _train_epoch(session)
            with session.clock.phase("evaluate"):
                scores = score(session, "held_out")
            _close_epoch(session, scores)
    except Interrupted:
        session.save()
        raise


def _train_epoch(session: TrainingRun) -> None:
    """Take the remaining steps of the present epoch."""
    spec, at, train_state = session.spec, session.at, session.train_state
    done = at.step - at.epoch * session.steps_per_epoch
    size = spec.training.batch_size
    share = share_of(session.dataset, train_state.ranks)
    batches = share.train_batches(size, Stream("training", at.epoch), spec.seed, skip=done)
    train_state.model.train()
    batches = guarded_batches(batches, f"dataset '{spec.dataset.name}'", "train_batches()")
    for step, batch in enumerate(batches, at.step):
        session.between_batches()
        _take_step(session, step, batch)
        if (step + 1) % STEPS == 0:
            train_state.unread.read()
        session.heartbeat()
        session.save_if_due()
    train_state.unread.read()
    train_state.ranks.broadcast(train_state.model.buffers())


def _take_step(session: TrainingRun, step: int, batch: Batch) -> None:
    """Take one step; it is counted when it is read."""
    spec, train_state = session.spec, session.train_state
    step_info = _begin_step(session, step)
    rate = scheduled(spec.training, step, session.steps)
    count = partial(_count, session, len(batch.targets) * train_state.ranks.count)
    try:
        with plugin_errors(
            f"method '{spec.method.name}' on model '{spec.model.name}'", "training step"
        ):
            queue_step(train_state, batch, rate, step_info, count)
    except PluginError:
        with suppress(RuntimeError):  # of the device; what is unread may say why it failed
            train_state.unread.read()
        raise


def _begin_step(session: TrainingRun, step: int) -> StepInfo:
    """Seed all random numbers of a step and return when it is."""
    seed, at = session.spec.seed, session.at
    seed_step(seed, step, session.train_state.ranks.rank)
    drawn = generator("passes", seed, step)
    return StepInfo(at.epoch, session.spec.training.epochs, step, session.steps, drawn)


def _count(session: TrainingRun, examples: int, results: list[PassResult]) -> None:
    """Count and record one step on so many ``examples``."""
    session.at.count(results, examples)
    session.at.reflections = session.train_state.reflections
    _record_step(session, results)


def score(session: TrainingRun, split: str) -> dict[int, Found]:
    """Return the metrics of every bit-width on ``split``.

    Raises:
        Diverged: a loss that is not finite.
    """
    model, ranks = session.train_state.model, session.train_state.ranks
    with plugin_errors(f"model '{session.spec.model.name}'", f"evaluation on '{split}'"):
        check = session.between_batches
        scores = evaluate(model, session.task, session.dataset, split, check, ranks)
    for bits, result in scores.items():
        place = f"on '{split}' at {bits} bit after epoch {session.at.epoch}"
        check_loss(result.values[LOSS], place, model)
    return scores


def _record_step(session: TrainingRun, results: list[PassResult]) -> None:
    """Write a line for every so many steps."""
    step = session.at.step - 1
    if step % session.line_interval == 0:
        uniform = [one for one in results if one.bits is not None]
        quantized = [] if session.spec.is_float else uniform
        line = Step(
            step=step,
            loss={one.bits: one.loss for one in uniform},
            scale_learning_rate={one.bits: one.scale_learning_rate for one in quantized},
            mean_gradient={
                one.bits: one.mean_gradient for one in quantized if one.mean_gradient is not None
            },
        )
        session.directory.append("steps", line)


def _close_epoch(session: TrainingRun, scores: dict[int, Found]) -> None:
    """Record the epoch, begin the next one, save."""
    at = session.at
    session.directory.append("train", _epoch_record(session, scores))
    session.directory.append("timing", _timing_record(session))
    log.info(
        "epoch %d/%d: %s", at.epoch + 1, session.spec.training.epochs, _summary(session, scores)
    )
    at.epoch += 1
    headline = session.task.headline.name
    at.held_out = {bits: result.values[headline] for bits, result in scores.items()}
    at.meters = {bits: EpochMeter() for bits in at.meters}
    for gradients in session.train_state.gradients.values():
        gradients.clear()
    session.save()
    if at.epoch in session.spec.training.snapshots:
        session.save_snapshot()
    session.heartbeat(at_once=True)


def _summary(session: TrainingRun, scores: dict[int, Found]) -> str:
    metric = session.task.headline
    held_out = (f"{bits} bit {metric.text(at.values[metric.name])}" for bits, at in scores.items())
    return f"held-out {metric.title} " + ", ".join(held_out)


def _epoch_record(session: TrainingRun, scores: dict[int, Found]) -> Epoch:
    """Return the line of ``train.jsonl``."""
    at = session.at
    gradients = {bits: sums.summary() for bits, sums in session.train_state.gradients.items()}
    return Epoch(
        epoch=at.epoch,
        steps=at.step,
        learning_rate=scheduled(session.spec.training, at.step - 1, session.steps),
        bits={
            bits: EpochBits(
                **meter.summary(session.task.headline.name, not session.spec.is_float),
                **{f"held_out_{name}": value for name, value in scores[bits].values.items()},
            )
            for bits, meter in at.meters.items()
        },
        scale_gradients={
            operand: {bits: found[operand] for bits, found in gradients.items()}
            for operand in OPERANDS
        },
    )


def _timing_record(session: TrainingRun) -> Timing:
    """Return the line of ``timing.jsonl``, and mark the end of the epoch."""
    at, spent = session.at, session.clock.read()
    train = spent["train"] - at.train_time_s
    evaluation = spent["evaluate"] - at.evaluate_time_s
    at.train_time_s, at.evaluate_time_s = spent["train"], spent["evaluate"]
    return Timing(
        epoch=at.epoch,
        train_time_s=train,
        evaluate_time_s=evaluation,
        step_time_s=train / session.steps_per_epoch,
        peak_memory_mib=session.clock.peak_memory_mib(),
    )
