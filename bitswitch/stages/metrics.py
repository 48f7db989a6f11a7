"""Lines of ``metrics.jsonl``, of runs and of searches."""

from collections.abc import Mapping
from math import isfinite

from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Task
from bitswitch.results.records import PAIRED_NOISE, Metric, Treatment


def metric_lines(
    split: str,
    scores: Mapping[int, Found] | Mapping[str, Found],
    task: Task,
    treatment: Treatment = "",
) -> list[Metric]:
    """Return a line of ``metrics.jsonl`` for every policy and metric.

    The headline on the test split, which is reported, has its noise.

    Args:
        split: That was evaluated.
        scores: By bit-width, or by name of the policy.
        task: Of the dataset.
        treatment: What was done to the network before.
    """
    lines = []
    for policy, found in scores.items():
        noise = task.noise(found) if split == "test" else None
        for metric in task.metrics:
            line = Metric(
                split=split,
                policy=str(policy),
                metric=metric.name + treatment,
                value=found.values[metric.name],
                unit=metric.unit,
            )
            known = metric == task.headline and noise is not None and isfinite(noise)
            lines.append(line.model_copy(update={"noise": noise}) if known else line)
    return lines


def paired_lines(split: str, scores: Mapping[int, Found], task: Task) -> list[Metric]:
    """Return a line for every bit-width but the widest: the noise of its difference to that one.

    Args:
        split: That was evaluated.
        scores: By bit-width, of one network.
        task: Of the dataset; many know no such noise, and get no lines.
    """
    widest = max(scores)
    noise = {
        bits: task.paired_noise(found, scores[widest])
        for bits, found in scores.items()
        if bits != widest
    }
    return [
        Metric(
            split=split,
            policy=str(bits),
            metric=task.headline.name + PAIRED_NOISE,
            value=value,
            unit="nats" if task.headline.scale == "log" else task.headline.unit,
        )
        for bits, value in noise.items()
        if value is not None and isfinite(value)
    ]
