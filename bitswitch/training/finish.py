"""What is left of a run: test metrics and a result."""

from typing import Any

from bitswitch.records import read_lines, write_lines
from bitswitch.training.clock import Clock
from bitswitch.training.health import at_chance
from bitswitch.training.loop import score
from bitswitch.training.session import Position, Session


def conclude(session: Session) -> tuple[str, str | None]:
    """Evaluate the trained model on the test split and write ``metrics.jsonl``.

    Returns:
        Status ``complete``, or ``collapsed`` with a diagnosis.

    Raises:
        Diverged: a loss that is not finite.
    """
    with session.clock.phase("evaluate"):
        test = score(session, "test")
    folder = session.directory.path
    last = read_lines(folder / "train.jsonl")[-1]["bits"]
    lines = []
    for bits, found in test.items():
        held_out = last[str(bits)]
        lines += _metrics("held_out", bits, held_out["held_out_top1"], held_out["held_out_loss"])
        lines += _metrics("test", bits, found.top1, found.loss)
    write_lines(folder / "metrics.jsonl", sorted(lines, key=lambda line: line["split"]))
    top1 = {bits: found.top1 for bits, found in test.items()}
    lost = at_chance(top1, session.classes, session.dataset.size("test"))
    if not lost:
        return "complete", None
    named = ", ".join(f"{bits} bit {top1[bits]:.1f} %" for bits in lost)
    return "collapsed", f"test accuracy is that of guessing ({session.classes} classes): {named}"


def _metrics(split: str, bits: int, top1: float, loss: float) -> list[dict[str, Any]]:
    """Return two lines of ``metrics.jsonl``."""
    common = {"split": split, "policy": str(bits)}
    return [
        {**common, "metric": "top1", "value": top1, "unit": "percent"},
        {**common, "metric": "loss", "value": loss, "unit": "nats"},
    ]


def measured(at: Position, clock: Clock) -> dict[str, Any]:
    """Return the measured part of ``result.json``."""
    spent = clock.read()
    return {
        "steps": at.step,
        "epochs": at.epoch,
        "train_time_s": spent["train"],
        "time_kind": clock.kind,
        "evaluate_time_s": spent["evaluate"],
        "other_time_s": spent["other"],
        "wall_time_s": spent["wall"],
        "peak_memory_mib": clock.peak_memory_mib(),
        "reflections": at.reflections,
        "negative_share": {
            str(bits): count / at.step if at.step else 0.0 for bits, count in at.negative.items()
        },
    }
