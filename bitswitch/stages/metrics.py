"""Lines of ``metrics.jsonl`` and ``correct.jsonl``, of runs and of searches."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from bitswitch.contracts.metric import Found
from bitswitch.contracts.task import Task
from bitswitch.errors import PluginError
from bitswitch.results import correct
from bitswitch.results.correct import Correct
from bitswitch.results.deployments import Executor
from bitswitch.results.record import write_lines
from bitswitch.results.records import PAIRED_NOISE, Metric, Treatment

NAME = "metrics.jsonl"

Ending = Treatment | Executor
"""Of the name of a metric: of a network after which treatment, or executed by what."""


class Lines:
    """What a job has found, line by line."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []
        self.correct: list[Correct] = []

    def add(
        self,
        task: Task,
        split: str,
        scores: Mapping[int, Found] | Mapping[str, Found],
        treatment: Treatment = "",
    ) -> None:
        """Add a line for every policy and metric.

        On the test split, which is reported, the headline has its noise, and it is kept which
        examples were right.

        Args:
            task: Of the dataset.
            split: That was evaluated.
            scores: By bit-width, or by name of the policy.
            treatment: What was done to the network before.

        Raises:
            PluginError: the task does not say of every example whether it was right.
        """
        for policy, found in scores.items():
            self.metrics += _metrics(split, str(policy), found, task, treatment)
            if split == "test":
                self.correct += correct_lines(str(policy), found, task, treatment)

    def add_pairs(self, task: Task, split: str, scores: Mapping[int, Found]) -> None:
        """Add a line for every bit-width but the widest: the noise of its difference to that one.

        Many tasks know no such noise, and get no lines.

        Args:
            task: Of the dataset.
            split: That was evaluated.
            scores: By bit-width, of one network.
        """
        self.metrics += _pairs(task, split, scores)

    def __iadd__(self, other: "Lines") -> "Lines":
        self.metrics += other.metrics
        self.correct += other.correct
        return self

    def write(self, folder: Path) -> tuple[str, str]:
        """Write both files below ``folder`` and return their names."""
        write_lines(folder / NAME, self.metrics)
        write_lines(folder / correct.NAME, self.correct)
        return NAME, correct.NAME


def _metrics(
    split: str, policy: str, found: Found, task: Task, treatment: Treatment
) -> list[Metric]:
    """Return one line per metric."""
    noise = task.noise(found) if split == "test" else None
    lines = []
    for metric in task.metrics:
        line = Metric(
            split=split,
            policy=policy,
            metric=metric.name + treatment,
            value=found.values[metric.name],
            unit=metric.unit,
        )
        known = metric == task.headline and noise is not None and isfinite(noise)
        lines.append(line.model_copy(update={"noise": noise}) if known else line)
    return lines


def correct_lines(policy: str, found: Found, task: Task, ending: Ending) -> list[Correct]:
    """Return one line per metric that is a share of the examples.

    Args:
        policy: That was evaluated.
        found: On the test split.
        task: Of the dataset.
        ending: Of the names of metrics.

    Raises:
        PluginError: the task does not say of every example whether it was right.
    """
    for name, right in found.correct.items():
        if name not in found.values or len(right) != found.examples:
            raise PluginError(
                f"The evaluator of {type(task).__name__} says of {len(right)} examples whether "
                f"they were right by '{name}'. Give 1 or 0 for each of the {found.examples} that "
                f"it has seen, by the name of one of its metrics: {', '.join(found.values)}."
            )
    return [Correct.pack(policy, name + ending, right) for name, right in found.correct.items()]


def _pairs(task: Task, split: str, scores: Mapping[int, Found]) -> list[Metric]:
    """Return what ``Lines.add_pairs`` adds."""
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
