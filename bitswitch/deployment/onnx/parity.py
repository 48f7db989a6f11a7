"""Does onnxruntime predict what the exact integer model does?

Exported graphs compute the same but for rounding; where a value lies on the boundary between two
codes, onnxruntime may take the other one. So predictions may differ; they are counted.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bitswitch.contracts.data import Batch
from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Task, rows_of
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx.export import graph_of
from bitswitch.deployment.onnx.runtime import Kernels, Session, kernels
from bitswitch.types import Policy


class Runtime(NamedTuple):
    """The integer model and onnxruntime at one policy."""

    policy: int | Policy
    images: int
    metric: str
    """Name of the headline of the task."""
    headline_integer: float
    """Its value, as the next one."""
    headline_onnxruntime: float
    largest_difference: float
    """Of two logits."""
    differing: int
    """Predictions that differ."""
    kernels: Kernels
    onnxruntime: Found
    """All that the evaluation of onnxruntime found."""


def compare(
    integers: IntegerModel,
    batches: Iterable[Batch],
    policy: int | Policy,
    task: Task,
    threads: int = 1,
) -> Runtime:
    """Return how far onnxruntime agrees with ``integers`` on ``batches`` at ``policy``.

    Args:
        integers: Left at its bit-widths.
        batches: At least one.
        policy: To compare at.
        task: Whose headline is taken of both.
        threads: Of onnxruntime.

    Raises:
        BitWidthError: as ``IntegerModel.switch``.
        EncodingError: the network cannot be written as ONNX.
    """
    graph = graph_of(integers, policy)
    session = Session(graph, threads)
    rows, judges = rows_of(task, "Parity"), (task.evaluator(), task.evaluator())
    images, differing, largest = 0, 0, 0.0
    for batch in batches:
        with integers.at(policy):
            exact = integers(batch.inputs).cpu()
        fast, targets = session(batch.inputs), batch.targets.cpu()
        for judge, outputs in zip(judges, (exact, fast), strict=True):
            judge.add(outputs, targets)
        images += len(exact)
        differing += int((rows.rows(exact).argmax(1) != rows.rows(fast).argmax(1)).sum())
        largest = max(largest, float((exact - fast).abs().max()))
    metric = task.headline.name
    first, second = (judge.result() for judge in judges)
    return Runtime(
        policy=policy,
        images=images,
        metric=metric,
        headline_integer=first.values[metric],
        headline_onnxruntime=second.values[metric],
        largest_difference=largest,
        differing=differing,
        kernels=kernels(graph),
        onnxruntime=second,
    )
