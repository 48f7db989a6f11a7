"""Does onnxruntime predict what the exact integer model does?

Exported graphs compute the same but for rounding; where a value lies on the boundary between two
codes, onnxruntime may take the other one. So predictions may differ; they are counted.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from bitswitch.contracts.data import Batch
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx.export import graph_of
from bitswitch.deployment.onnx.runtime import Kernels, Session, kernels
from bitswitch.types import Policy


class Runtime(NamedTuple):
    """The integer model and onnxruntime at one policy."""

    policy: int | Policy
    images: int
    top1_integer: float
    """Percent, as the next one."""
    top1_onnxruntime: float
    largest_difference: float
    """Of two logits."""
    differing: int
    """Predictions that differ."""
    kernels: Kernels

    def as_json(self) -> dict[str, Any]:
        """Return all fields by name."""
        return {**self._asdict(), "kernels": self.kernels._asdict()}


def compare(
    integers: IntegerModel, batches: Iterable[Batch], policy: int | Policy, threads: int = 1
) -> Runtime:
    """Return how far onnxruntime agrees with ``integers`` on ``batches`` at ``policy``.

    Args:
        integers: Left at its bit-widths.
        batches: At least one.
        policy: To compare at.
        threads: Of onnxruntime.

    Raises:
        BitWidthError: as ``IntegerModel.switch``.
        EncodingError: the network cannot be written as ONNX.
    """
    graph = graph_of(integers, policy)
    session = Session(graph, threads)
    counts, largest = torch.zeros(4, dtype=torch.int64), 0.0
    for batch in batches:
        with integers.at(policy):
            exact = integers(batch.inputs).cpu()
        fast, targets = session(batch.inputs), batch.targets.cpu()
        first, second = exact.argmax(1), fast.argmax(1)
        hits = (targets == targets, first == targets, second == targets, first != second)
        counts += torch.stack(hits).sum(1)
        largest = max(largest, float((exact - fast).abs().max()))
    images, exact_hits, fast_hits, differing = counts.tolist()
    return Runtime(
        policy,
        images,
        100 * exact_hits / images,
        100 * fast_hits / images,
        largest,
        differing,
        kernels(graph),
    )
