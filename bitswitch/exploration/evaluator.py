"""Evaluations of one search: counted, recorded as they come, and taken up after an interruption."""

import json
from pathlib import Path
from typing import Any, Self

from bitswitch.contracts import Evaluation
from bitswitch.errors import SpecError
from bitswitch.exploration.evaluating import batches_of, evaluate_policy, recalibration_images
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.policy import resolve
from bitswitch.records import Lines
from bitswitch.search_spec import SearchSpec
from bitswitch.training.trained import Trained
from bitswitch.types import Policy


class Evaluator:
    """Evaluates policies on held-out images within one budget.

    A search draws all that is random from one seed, so one that was interrupted asks again for what
    it had asked for: what the file says of that is not computed again.

    Args:
        trained: The network.
        spec: Of the search.
        path: File of the evaluations, a line each; it may hold some.
    """

    def __init__(self, trained: Trained, spec: SearchSpec, path: Path) -> None:
        self.trained = trained
        self.spec = spec
        self.count = 0
        """Evaluations that the search has asked for."""
        self._recorded = _recorded(path)
        self._file = Lines(path, sum(len(line) for line, _ in self._recorded))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def remaining(self) -> int:
        """Return how many more evaluations the spec allows."""
        return self.spec.evaluations - self.count

    def __call__(self, policy: Policy, model: QuantizedModel | None = None) -> Evaluation:
        """Return how good ``policy`` is on held-out images, of ``model`` where one is given.

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
                return Evaluation(known["top1"], known["loss"])
            self._forget_from(self.count - 1)
        found = self.on(policy, "held_out", self.spec.images, model)
        self._file.append({"layers": layers, **found._asdict()})
        return found

    def _forget_from(self, place: int) -> None:
        """Drop what the file says from an evaluation on: the search has gone another way."""
        del self._recorded[place:]
        self._file.close()
        self._file = Lines(self._file.path, sum(len(line) for line, _ in self._recorded))

    def on(
        self,
        policy: Policy,
        split: str,
        images: int | None = None,
        model: QuantizedModel | None = None,
    ) -> Evaluation:
        """Return how good ``policy`` is on ``split``, at most ``images`` of it; not counted."""
        model, dataset = model or self.trained.model, self.trained.dataset
        count = self.spec.recalibration
        again = recalibration_images(dataset, self.spec.run, count) if count else None
        return evaluate_policy(model, policy, batches_of(dataset, split, images), again)

    def pairs(self, policy: Policy) -> dict[str, tuple[int, int]]:
        """Return the (weight, activation) bit-widths of every layer."""
        return resolve(policy, self.trained.model.layers, self.trained.model.bitset)


def _recorded(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Return the lines of ``path``, up to one that is no whole evaluation, and what they say."""
    found: list[tuple[bytes, dict[str, Any]]] = []
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        try:
            record = json.loads(line)
            complete = line.endswith(b"\n") and {"layers", "top1", "loss"} <= record.keys()
        except (ValueError, AttributeError):
            complete = False
        if not complete:
            break
        found.append((line, record))
    return found
