"""Does the integer model predict what training evaluated? Counted by example, with causes.

Training evaluates float32 sums of products of grid values; the integer model exact sums of codes.
Both differ in the last digits, so a value on the boundary between two codes may be rounded to one
in training and to the other here. Tie rule: predictions that differ are ties if the first codes of
the example that differ are (see ``bitswitch.deployment.verification.ties``), or, where no code
differs, if both classes have the same logit but for rounding. An example may have several
predictions, as a window of tokens has: its cause is theirs, because a tie at one token moves all
that come after it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.contracts.data import Batch
from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Task, rows_of
from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.verification.ties import Causes, Trace, causes_in, close_logits
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime import transfers
from bitswitch.runtime.products import multiplying
from bitswitch.spec.run import RunSpec
from bitswitch.training.trained import load_trained
from bitswitch.types import Policy

BATCH_SIZE = 64


class Agreement(NamedTuple):
    """Training's fake quantization and the integer model at one policy."""

    policy: int | Policy
    images: int
    """Examples, as all that is called images; windows of a text are."""
    predictions: int
    """One or several of each example."""
    metric: str
    """Name of the headline of the task."""
    headline_trained: float
    """Its value, as the next one."""
    headline_integer: float
    largest_difference: float
    """Of two logits."""
    differing: int
    """Predictions that differ."""
    ties: int
    """Of these, those that the tie rule excuses."""
    images_with_ties: int
    """Images with codes that differ, the first ones as ties, whatever is predicted."""
    unexplained: int
    """Images whose codes or predictions differ for another reason: 0, or something is wrong."""
    accumulators: dict[str, int]
    """Largest magnitude seen, by layer."""
    integer: Found
    """All that the evaluation of the integer model found."""


def parity(
    file: Path,
    run: RunSpec,
    runs: Path,
    data: Path,
    device: torch.device | str = "cpu",
    split: str = "test",
) -> list[Agreement]:
    """Return how far ``file`` agrees with ``run`` at every bit-width, widest first.

    Args:
        file: Exported from the run.
        run: Resolved.
        runs: Folder of all run directories.
        data: Folder of the datasets.
        device: Of both models.
        split: Whose examples are predicted, all of them.

    Raises:
        ArtifactError: the file cannot be used.
        CheckpointError: the run is not finished, or its checkpoint is damaged.
        Diverged: the run has no network.
    """
    integers = load(file, device)
    trained = load_trained(run, runs, data, torch.device(device), by="parity")
    return [
        compare(
            trained.model,
            integers,
            trained.dataset.batches(split, BATCH_SIZE),
            bits,
            trained.parts.dataset.task,
        )
        for bits in integers.bitset
    ]


@torch.no_grad()
def compare(
    trained: QuantizedModel,
    integers: IntegerModel,
    batches: Iterable[Batch],
    policy: int | Policy,
    task: Task,
) -> Agreement:
    """Return how far both agree on ``batches`` at ``policy``.

    On an accelerator convolutions of ``trained`` run in float32, not in the shorter TF32.

    Args:
        trained: In evaluation mode, on the device of the batches; left at its policy.
        integers: On the same device.
        batches: At least one.
        policy: To compare at.
        task: Whose headline is taken of both.
    """
    rows, judges = rows_of(task, "Parity"), (task.evaluator(), task.evaluator())
    trace = Trace()
    counts: list[Tensor] = []
    differences: list[Tensor] = []
    with trained.at(policy), integers.at(policy), multiplying(tf32=False):
        for batch in batches:
            after = integers(batch.inputs, trace.observe)
            with causes_in(trained, trace, len(after)) as causes:
                before = trained(batch.inputs)
            for judge, outputs in zip(judges, (before, after), strict=True):
                judge.add(outputs, batch.targets)
            counts.append(_count(rows.rows(before), rows.rows(after), causes))
            differences.append((before - after).abs().max())
    count = transfers.to_host(torch.stack(counts).sum(0))
    metric = task.headline.name
    found = [judge.result() for judge in judges]
    return Agreement(
        policy=policy,
        metric=metric,
        headline_trained=found[0].values[metric],
        headline_integer=found[1].values[metric],
        largest_difference=max(0.0, *transfers.to_host(torch.stack(differences))),
        accumulators=trace.accumulators,
        integer=found[1],
        **dict(zip(_COUNTED, count, strict=True)),
    )


_COUNTED = ("images", "predictions", "differing", "ties", "images_with_ties", "unexplained")


def _count(before: Tensor, after: Tensor, causes: Causes) -> Tensor:
    """Return the numbers of ``_COUNTED`` for one batch.

    Args:
        before: Rows of logits [predictions, classes], those of an example side by side.
        after: The same of the integer model.
        causes: Of its examples.
    """
    examples = len(causes.tie)
    differ = (before.argmax(1) != after.argmax(1)).view(examples, -1)
    close = close_logits(before, after).view(examples, -1)
    excused = causes.tie[:, None] | (~causes.other[:, None] & close)
    numbers = (
        causes.tie.new_ones(examples),
        torch.ones_like(differ),
        differ,
        differ & excused,
        causes.tie,
        causes.other | (differ & ~excused).any(1),
    )
    return torch.stack([number.sum() for number in numbers])
