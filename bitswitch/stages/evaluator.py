"""Evaluations of one search: counted, recorded as they come, and taken up after an interruption."""

import json
from collections.abc import Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any, Self

from bitswitch.contracts.metric import Found
from bitswitch.contracts.search import Evaluation
from bitswitch.errors import RecordError, SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.policy import resolve
from bitswitch.results.files import Lines, Mark, mark_of, parse
from bitswitch.spec.search import SearchSpec
from bitswitch.stages.policy_evaluation import batches_of, evaluate_policy, recalibration_inputs
from bitswitch.training.clock import Clock
from bitswitch.training.trained import Trained
from bitswitch.types import Policy

SUM = "sha256"
"""Key of a line's checksum."""


class Evaluator:
    """Evaluates policies on held-out examples within one budget.

    A search draws all that is random from one seed, so one that was interrupted asks again for what
    it had asked for: what the file says of that is not computed again.

    Args:
        trained: The network.
        spec: Of the search.
        path: File of the evaluations, a line each; it may hold some.
        clock: Of the search.
    """

    def __init__(self, trained: Trained, spec: SearchSpec, path: Path, clock: Clock) -> None:
        self.trained = trained
        self.spec = spec
        self.clock = clock
        self.recalled_time_s = 0.0
        """What evaluations took that an interrupted attempt had computed."""
        self.count = 0
        """Evaluations that the search has asked for."""
        self._recorded = _recorded(path)
        self._file = Lines(path, self._mark())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def remaining(self) -> int:
        """Return how many more evaluations the spec allows."""
        return self.spec.evaluations - self.count

    def __call__(self, policy: Policy, model: QuantizedModel | None = None) -> Evaluation:
        """Return how good ``policy`` is on held-out examples, of ``model`` where one is given.

        Raises:
            SpecError: all evaluations that the spec allows are spent.
        """
        if self.remaining() <= 0:
            raise SpecError(
                f"Search '{self.spec.search.name}' may evaluate {self.spec.evaluations} policies "
                f"and asks for one more. Raise search.evaluations."
            )
        layers = {name: list(pair) for name, pair in self.pairs(policy).items()}
        self.count += 1
        if self.count <= len(self._recorded):
            known = self._recorded[self.count - 1][1]
            if known["layers"] == layers:
                self.recalled_time_s += known["time_s"]
                task = self.trained.parts.dataset.task
                values = {metric.name: known[metric.name] for metric in task.metrics}
                numbers = {name: nan if one is None else one for name, one in values.items()}
                return Evaluation.of(Found(numbers, 0), task.headline)
            self._forget_from(self.count - 1)
        before = self.clock.read()["train"]
        found = self.on(policy, "held_out", self.spec.examples, model)
        time_s = self.clock.read()["train"] - before
        record = {"layers": layers, **_written(found.values), "time_s": time_s}
        self._file.append({**record, SUM: _checksum(self._file.mark, record)})
        return found

    def _forget_from(self, place: int) -> None:
        """Drop what the file says from an evaluation on: the search has gone another way."""
        del self._recorded[place:]
        self._file.close()
        self._file = Lines(self._file.path, self._mark())

    def _mark(self) -> Mark:
        """Return what the file holds when all that is known of it is recorded."""
        return mark_of(b"".join(line for line, _ in self._recorded))

    def on(
        self,
        policy: Policy,
        split: str,
        examples: int | None = None,
        model: QuantizedModel | None = None,
    ) -> Evaluation:
        """Return how good ``policy`` is on ``split``, at most ``examples`` of it; not counted."""
        model, dataset = model or self.trained.model, self.trained.dataset
        count = self.spec.recalibration
        again = recalibration_inputs(dataset, self.spec.run, count) if count else None
        task = self.trained.parts.dataset.task
        batches = batches_of(dataset, split, examples, task.batch_size)
        return evaluate_policy(model, task, policy, batches, again)

    def pairs(self, policy: Policy) -> dict[str, tuple[int, int]]:
        """Return the (weight, activation) bit-widths of every layer."""
        return resolve(policy, self.trained.model.layers, self.trained.model.bitset)


def _written(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as a file holds them: None for what is no finite number."""
    return {name: value if isfinite(value) else None for name, value in values.items()}


def _recorded(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Return the whole lines of ``path`` and what they say; a kill may leave part of a line.

    Raises:
        RecordError: a line was lost before others, doubled or changed.
    """
    found: list[tuple[bytes, dict[str, Any]]] = []
    content = path.read_bytes() if path.exists() else b""
    so_far = b""
    for number, text in enumerate(content.split(b"\n")[:-1], start=1):
        record = parse(text, f"{path}, line {number}")
        if record.pop(SUM, None) != _checksum(mark_of(so_far), record):
            raise RecordError(
                f"{path}, line {number}: this evaluation, or one before it, was lost, doubled or "
                f"changed.\n  Delete {path} and run again: it is made anew."
            )
        found.append((text + b"\n", record))
        so_far += text + b"\n"
    return found


def _checksum(before: Mark, record: dict[str, Any]) -> str:
    """Return what ties an evaluation to all that were recorded before it."""
    return mark_of(json.dumps([*before, record]).encode())[1]
