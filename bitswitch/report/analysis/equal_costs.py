"""Sub-nets that cost the same, two by two (R9)."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis import search_pairs, subnets
from bitswitch.report.collect.frames import Frames

CLOSE = 0.01
"""Costs that differ by at most this share count as equal."""


class Pair(NamedTuple):
    """Two sub-nets of one trained network within one budget."""

    better: dict[Any, Any]
    """Row of ``subnets.of_experiment``."""
    worse: dict[Any, Any]
    differing: int
    """Layers with other bit-widths."""


class Rivals(NamedTuple):
    """What two searches found within one budget."""

    one: pd.DataFrame
    """Rows of ``subnets.of_experiment``."""
    other: pd.DataFrame
    layers: list[int]
    """With other bit-widths, in every pair of sub-nets that both found."""


def equal_pairs(frames: Frames, rows: pd.DataFrame, cost: str, metric: Metric) -> list[Pair]:
    """Return the pairs of different sub-nets of equal cost, the better one of each first.

    Args:
        frames: Collected results.
        rows: Sub-nets of one trained network within one budget.
        cost: Column of the cost.
        metric: The headline.
    """
    rises = metric.better == "lower"
    good = rows[rows.headline.notna()].sort_values("headline", ascending=rises, kind="stable")
    pairs = [
        Pair(better, worse, differing(frames, better, worse))
        for better, worse in combinations(good.to_dict("records"), 2)
        if _cost_the_same(better, worse, cost)
    ]
    return [pair for pair in pairs if pair.differing]


def widest_of(pairs: list[Pair]) -> Pair | None:
    """Return the pair whose headlines differ most, or None where there is none."""
    return max(pairs, key=_difference, default=None)


def _cost_the_same(one: dict[Any, Any], other: dict[Any, Any], cost: str) -> bool:
    """Return whether two sub-nets cost the same but for the share that does not count."""
    return bool(abs(one[cost] - other[cost]) <= CLOSE * max(one[cost], other[cost]))


def _difference(pair: Pair) -> float:
    """Return by how much the better one is better."""
    return abs(float(pair.better["headline"] - pair.worse["headline"]))


def differing(frames: Frames, one: dict[Any, Any], other: dict[Any, Any]) -> int:
    """Return the number of layers whose bit-widths differ."""
    first, second = (
        subnets.layers_of(frames, row["search"], row["budget"]) for row in (one, other)
    )
    operands = ["weight_bits", "activation_bits"]
    return int((first[operands] != second[operands]).any(axis=1).sum())


def equal_searches(frames: Frames, rows: pd.DataFrame, cost: str) -> Iterator[Rivals]:
    """Yield pairs of searches that found sub-nets of equal cost in every network, not all the same.

    Args:
        frames: Collected results.
        rows: Sub-nets of all searches within one budget.
        cost: Column of the cost.
    """
    groups = [group for _, group in rows.groupby("variant", sort=False)]
    for one, other in combinations(groups, 2):
        both = [pair for pair in search_pairs.partners(one, other) if _are_complete(*pair)]
        if both and all(_cost_the_same(*pair, cost) for pair in both):
            layers = [differing(frames, *pair) for pair in both]
            if any(layers):
                yield Rivals(one, other, layers)


def _are_complete(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    return bool(one["status"] == other["status"] == "complete")
