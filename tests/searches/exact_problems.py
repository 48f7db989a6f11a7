"""Small problems whose policies can all be tried."""

from collections.abc import Mapping, Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import torch

from bitswitch.contracts.metric import LOSS, Found
from bitswitch.contracts.search import Evaluation, Problem
from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.costs import Constraint, CostModel, LayerShape
from bitswitch.tasks.classification import Classification


def shape(
    name: str, weights: int = 1, macs: int = 1, first_last_bits: int | None = None
) -> LayerShape:
    return LayerShape(
        name=name,
        kind="conv",
        weights=weights,
        macs=macs,
        inputs=10 + macs,
        scales=1,
        in_channels=4,
        out_channels=4,
        kernel=3,
        stride=1,
        groups=1,
        fixed_bits=first_last_bits,
        is_first_last=first_last_bits is not None,
    )


def cost_model(
    weights: Sequence[int] = (), macs: Sequence[int] = (), first_last: bool = False, **options: Any
) -> CostModel:
    """Return costs of layers ``a``, ``b``, ...; ``first_last``: and of a float one before."""
    macs = macs or weights
    names = "abcdefghijklmnopqrstuvwxyz"
    shapes = [shape(names[i], *pair) for i, pair in enumerate(zip(weights, macs, strict=True))]
    if first_last:
        shapes.insert(0, shape("stem", 7, 11, first_last_bits=32))
        options["first_last"] = "counted"
    return CostModel(shapes, **options)


def problem(
    costs: CostModel,
    limit: Constraint,
    scores: Scores | None = None,
    bitset: tuple[int, ...] = (8, 6, 4, 2),
    tied: bool = True,
) -> Problem:
    return Problem(
        model=SimpleNamespace(),  # type: ignore[arg-type]  # never looked at
        costs=costs,
        bitset=bitset,
        limit=limit,
        tied=tied,
        scores=scores,
        task=Classification(),
        evaluate=lambda policy, model=None: (_ for _ in ()).throw(AssertionError),
        remaining=lambda: 0,
        train_batches=lambda epoch: iter(()),
        generator=torch.Generator(),
    )


def layer_scores(values: Sequence[float]) -> Scores:
    """Return one score for each of the layers ``a``, ``b``, ..."""
    return Scores(tuple(Score(n, "layer", None, v) for n, v in zip("abcdefghij", values)))  # noqa: B905


def scores_by_bits(
    table: Sequence[Sequence[float]], bitset: Sequence[int], operand: str = "layer"
) -> tuple[Score, ...]:
    """Return a score for each layer (row) and bit-width (column)."""
    return tuple(
        Score(name, operand, bits, value)  # type: ignore[arg-type]
        for name, row in zip("abcdefghij", table)  # noqa: B905
        for bits, value in zip(bitset, row, strict=True)
    )


def policies(one: Problem) -> list[dict[str, tuple[int, int]]]:
    """Return all policies, within the budget or not."""
    return [
        dict(zip(one.layers, choice, strict=True))
        for choice in product(one.choices, repeat=len(one.layers))
    ]


def total(loss: Any, policy: Mapping[str, tuple[int, int]]) -> float:
    return sum(loss(layer, *bits) for layer, bits in policy.items())


def evaluation(top1: float, loss: float) -> Evaluation:
    """Return what an evaluation of a classification found."""
    task = Classification()
    return Evaluation.of(Found({task.headline.name: top1, LOSS: loss}, 0), task.headline)
