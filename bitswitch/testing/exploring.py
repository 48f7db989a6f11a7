"""Sensitivities and searches on a network small enough to look at it in a second."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bitswitch.contracts.method import Method
from bitswitch.contracts.metric import LOSS, Found
from bitswitch.contracts.search import Evaluation, Problem, Search
from bitswitch.contracts.sensitivity import Score, Scores, Sensitivity, SensitivityScores
from bitswitch.contracts.sensitivity import ScoringInput as Scored
from bitswitch.conversion import quantize
from bitswitch.costs import Constraint, CostModel, CostName
from bitswitch.errors import SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.shapes import layer_shapes
from bitswitch.plugins import registry
from bitswitch.runtime.randomness import generator
from bitswitch.testing.subject import CLASSES, IMAGES, TASK, batch, batches, network, sensitivity
from bitswitch.types import FLOAT_BITS, BitSet, Policy

BITSET: BitSet = (8, 4, 2)
EVALUATIONS = 24
IMAGE = (3, 8, 8)


def trained_network() -> QuantizedModel:
    """Return the network of the checks at several bit-widths, ready for evaluation.

    Every bit-width has a scale of its own, so that sensitivities may read them.
    """
    method: Method = registry.create("methods", "lsq", {}, BITSET)
    model = quantize(network(), method)
    method.on_quantized(model, CLASSES)
    model.calibrate([batch().inputs])
    return model.eval()


def snapshot(model: QuantizedModel) -> dict[str, Tensor]:
    """Return copies of all tensors of ``model``, gradients included."""
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = {f"{name}.grad": p.grad for name, p in model.named_parameters()}
    return kept | {name: grad.clone() for name, grad in gradients.items() if grad is not None}


def found(
    plugin: Sensitivity, model: QuantizedModel | None = None, seed: int = 0
) -> SensitivityScores:
    """Return what ``plugin`` finds out about the network of the checks."""
    model = model or trained_network()
    model.switch(FLOAT_BITS)
    return plugin.score(Scored(model, BITSET, batches, generator("check scores", seed), TASK))


@dataclass
class Counter:
    """An accuracy that more bits in later layers raise, and how often it was asked for."""

    layers: list[str]
    calls: int = 0
    asked: list[Policy] = field(default_factory=list)

    def remaining(self) -> int:
        """Return how many more calls are allowed."""
        return EVALUATIONS - self.calls

    def __call__(self, policy: Policy, model: QuantizedModel | None = None) -> Evaluation:
        """Return how good ``policy`` is.

        Raises:
            SpecError: all calls are spent.
        """
        if self.remaining() <= 0:
            raise SpecError(f"{EVALUATIONS} evaluations are allowed, and one more is asked for.")
        self.calls += 1
        self.asked.append(policy)
        loss = sum((1 + place) * 0.5 ** min(_pair(policy, name)) for place, name in self._places())
        values = {TASK.headline.name: 100 / (1 + loss), LOSS: loss}
        return Evaluation.of(Found(values, IMAGES), TASK.headline)

    def _places(self) -> Iterator[tuple[int, str]]:
        return iter(enumerate(self.layers))


def _pair(policy: Policy, layer: str) -> tuple[int, int]:
    bits = policy[layer]
    return bits if isinstance(bits, tuple) else (bits, bits)


def problem(
    cost: CostName = "average-bits",
    share: float = 0.6,
    tied: bool = True,
    seed: int = 0,
    scores: Scores | None = None,
) -> Problem:
    """Return a problem on the network of the checks.

    Args:
        cost: What the budget limits.
        share: Of the widest policy's cost that the budget allows.
        tied: Whether weights and inputs share their bit-width.
        seed: Of all that is random.
        scores: Default: of every layer, as a whole and at every bit-width.
    """
    model = trained_network()
    costs = CostModel(layer_shapes(model, IMAGE))
    counter = Counter([shape.name for shape in costs.layers])
    return Problem(
        model=model,
        costs=costs,
        bitset=BITSET,
        limit=Constraint(cost, share * costs.uniform(cost, max(BITSET))),
        tied=tied,
        scores=scores or sensitivity(),
        evaluate=counter,
        remaining=counter.remaining,
        train_batches=lambda epoch: (batch(8 * epoch + number) for number in range(8)),
        generator=generator("check search", seed),
        task=TASK,
    )


def suitable(search: Search) -> Scores:
    """Return scores that ``search`` can use: of layers, or of weights and inputs apart."""
    by_layer = sensitivity()
    try:
        search.search(problem(scores=by_layer))
    except SpecError:
        return by_operand(by_layer)
    return by_layer


def by_operand(scores: Scores) -> Scores:
    """Return the scores of bit-widths as those of weights and of inputs."""
    rows = [row for row in scores.rows if row.bits is not None]
    return Scores(
        tuple(
            Score(row.layer, operand, row.bits, row.value)
            for row in rows
            for operand in ("weight", "activation")
        )
    )


def tensors_changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors that differ, or are in one alone."""
    shared = before.keys() & after.keys()
    changed = [name for name in sorted(shared) if not torch.equal(before[name], after[name])]
    return [*changed, *sorted(before.keys() ^ after.keys())]
