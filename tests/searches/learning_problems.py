"""Problems for searches that evaluate or train: an accuracy that is a formula, and a network."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from bitswitch.contracts.data import Batch
from bitswitch.contracts.search import Evaluation, Problem
from bitswitch.conversion import quantize
from bitswitch.costs import Constraint, CostModel
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.shapes import layer_shapes
from bitswitch.types import Policy

from .exact_problems import cost_model, evaluation, problem

BITSET = (8, 4, 2)


class Formula:
    """Top-1 that falls with 4^-bits, in every layer by its own factor; counts its calls."""

    def __init__(self, factors: Sequence[float], allowed: int) -> None:
        self.factors = factors
        self.allowed = allowed
        self.seen: list[Policy] = []

    def __call__(self, policy: Policy, model: object = None) -> Evaluation:
        assert self.remaining() > 0
        self.seen.append(policy)
        return evaluation(self.top1(policy), 0.0)

    def top1(self, policy: Policy) -> float:
        pairs = [bits if isinstance(bits, tuple) else (bits, bits) for bits in policy.values()]
        errors = [f * (4.0**-w + 4.0**-a) for f, (w, a) in zip(self.factors, pairs, strict=True)]
        return 90 - sum(errors)

    def remaining(self) -> int:
        return self.allowed - len(self.seen)


def with_formula(formula: Formula, at_most: float = 4.5, seed: int = 0, **options: Any) -> Problem:
    """Return a problem on average bits whose evaluation is ``formula``."""
    costs = cost_model(weights=[10 * (i + 1) for i in range(len(formula.factors))])
    return replace(
        problem(costs, Constraint("average-bits", at_most), **options),
        evaluate=formula,
        remaining=formula.remaining,
        generator=torch.Generator().manual_seed(seed),
    )


class TwoLayers(nn.Module):
    """Between float layers, one quantized layer that all depends on, and one that hardly counts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.matters = nn.Linear(16, 16)
        self.hardly = nn.Linear(16, 16)
        self.last = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        return self.last(self.matters(x) + 1e-3 * self.hardly(x))


def images(count: int = 256, seed: int = 0) -> Batch:
    """Return separable inputs [n, 6] of four classes."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    teacher = torch.randn(6, 4, generator=torch.Generator().manual_seed(99))
    return Batch(x, (x @ teacher).argmax(1), torch.arange(count))


def trained_network(seed: int = 0) -> QuantizedModel:
    """Return ``TwoLayers``, trained at full precision, quantized and calibrated."""
    torch.manual_seed(seed)
    net, batch = TwoLayers(), images()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(batch.inputs), batch.targets).backward()
        optimizer.step()
    model = quantize(net, DoubleRounding(DoubleRounding.Options(), BITSET), keep=["first", "last"])
    model.calibrate([batch.inputs])
    return model.eval()


def batches_of(batch: Batch, size: int) -> Callable[[int], Any]:
    """Return what gives the shuffled batches of an epoch."""

    def give(epoch: int) -> Any:
        order = torch.randperm(len(batch.targets), generator=torch.Generator().manual_seed(epoch))
        for chosen in order.split(size):
            if len(chosen) == size:
                yield Batch(*(part[chosen] for part in batch))

    return give


def counted(problem: Problem, seen: list[int]) -> Problem:
    """Return ``problem`` with the sizes of all training batches that are taken put in ``seen``."""

    def give(epoch: int) -> Any:
        for batch in problem.train_batches(epoch):
            seen.append(len(batch.targets))
            yield batch

    return replace(problem, train_batches=give)


def with_network(
    model: QuantizedModel, limit: Constraint, seed: int = 0, size: int = 32, **options: Any
) -> Problem:
    """Return a problem of ``model`` that is trained on ``images``."""
    costs = CostModel(layer_shapes(model, (6,)))
    return replace(
        problem(costs, limit, bitset=BITSET, **options),
        model=model,
        train_batches=batches_of(images(), size),
        generator=torch.Generator().manual_seed(seed),
    )
