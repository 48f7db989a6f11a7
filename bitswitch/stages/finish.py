"""What follows the last training step: the method's own finish, test metrics and a result."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method
from bitswitch.contracts.metric import Found
from bitswitch.contracts.streams import Stream
from bitswitch.nn.recalibration import recalibrate
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results.records import Epoch
from bitswitch.runtime.randomness import seed_step
from bitswitch.stages.metrics import Lines
from bitswitch.training.clock import Clock
from bitswitch.training.loop import score
from bitswitch.training.session import Progress, TrainingRun


def conclude(session: TrainingRun) -> tuple[str, str | None]:
    """Let the method finish, evaluate on the test split and write what was found.

    Returns:
        Status ``complete``, or ``collapsed`` with a diagnosis, which no network on noise is.

    Raises:
        Diverged: a loss that is not finite.
        PluginError: the method raised an error.
    """
    changed = _finish(session)
    with session.clock.phase("evaluate"):
        scored = not changed and session.train_state.method.trains
        held_out = _last_scores(session) if scored else score(session, "held_out")
        test = score(session, "test")
    task, metric = session.task, session.task.headline
    lines = Lines()
    lines.add(task, "held_out", held_out)
    lines.add(task, "test", test)
    lines.add_pairs(task, "test", test)
    if session.spec.training.recalibration:
        lines.add(task, "test", _recalibrated(session), "_recalibrated")
    lines.write(session.directory.path)
    values = {bits: found.values[metric.name] for bits, found in test.items()}
    size = session.dataset.size("test")
    lost = [bits for bits, value in values.items() if task.is_chance(value, session.outputs, size)]
    if session.is_noise or not lost:
        return "complete", None
    named = ", ".join(f"{bits} bit {metric.text(values[bits])}" for bits in lost)
    return "collapsed", f"test {task.measure} is that of guessing: {named}"


def _finish(session: TrainingRun) -> bool:
    """Let the method finish, once, and save; return whether there was something to finish."""
    method, at = session.train_state.method, session.at
    if type(method).finish is Method.finish:
        if not method.trains:
            session.save()  # no epoch has
        return False
    if not at.finished:
        seed_step(session.spec.seed, session.steps)
        named = f"method '{session.spec.method.name}' on model '{session.spec.model.name}'"
        with session.clock.phase("train"), plugin_errors(named, "finish()"):
            method.finish(session.train_state.model, lambda: _batches(session))
        session.train_state.ranks.broadcast(session.train_state.model.state_dict().values())
        at.finished = True
        session.save()
    return True


def _batches(session: TrainingRun) -> Iterator[Batch]:
    """Return one epoch of shuffled, augmented training batches, every time the same."""
    spec = session.spec
    return session.dataset.train_batches(
        spec.training.batch_size, Stream("finish"), spec.seed, skip=0
    )


def _last_scores(session: TrainingRun) -> dict[int, Found]:
    """Return the metrics on the held-out split after the last epoch."""
    last = Epoch.read_lines(session.directory.path / "train.jsonl")[-1]
    names = [metric.name for metric in session.task.metrics]
    size = session.dataset.size("held_out")
    return {
        bits: Found({name: getattr(found, f"held_out_{name}") for name in names}, size)
        for bits, found in last.bits.items()
    }


def _recalibrated(session: TrainingRun) -> dict[int, Found]:
    """Return test metrics with batch norm recalibrated on held-out images; not saved."""

    def images() -> Iterator[Tensor]:
        size = session.spec.training.batch_size
        batches = session.dataset.batches("held_out", size)
        for _, batch in zip(range(session.spec.training.recalibration), batches, strict=False):
            yield batch.inputs

    with session.clock.phase("evaluate"):
        recalibrate(session.train_state.model, images)
        return score(session, "test")


def measured(at: Progress, clock: Clock) -> dict[str, Any]:
    """Return the fields of a run's result that other jobs do not have."""
    spent = clock.read()
    return {
        "steps": at.step,
        "epochs": at.epoch,
        "train_time_s": spent["train"],
        "evaluate_time_s": spent["evaluate"],
        "other_time_s": spent["other"],
        **clock.energy.fields(),
        "reflections": at.reflections,
        "negative_share": {
            bits: count / at.step if at.step else 0.0 for bits, count in at.negative.items()
        },
    }
