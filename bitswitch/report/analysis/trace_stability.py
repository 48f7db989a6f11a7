"""R8: whether layers that are sensitive before training are those that are sensitive later."""

from collections.abc import Sequence
from itertools import permutations
from math import factorial, inf, nan
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

STABILITY = ("plugin", "run", "model", "seed", "epoch", "layers", "correlation", "p")
"""Columns of what ``stability`` returns; ``epoch`` is empty for the trained network."""

DRAWS = 9999
"""Random orders of layers, where there are more orders than that."""

TRAINED = inf
"""The epoch of the trained network."""

Ranks = NDArray[np.float64]


class RankCorrelation(NamedTuple):
    """How alike two orders of the same layers are."""

    layers: int
    correlation: float
    """Spearman's, -1 to 1; NaN for fewer than three layers or where all scores are equal."""
    p: float
    """Two-sided, of a permutation test; NaN as above. At least 1e-4 beyond seven layers."""


def stability(sensitivities: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return how alike the scores before training and those of every later epoch are.

    Only scores that do not depend on the bit-width are compared, in the order of layers that they
    give. A run without scores of epoch 0, or of a later one, has no row. Where a run was scored
    twice at one epoch, with other options, the first counts.

    Args:
        sensitivities: Columns of ``sensitivities.csv``.
        scores: Columns of ``scores.csv``.

    Returns:
        Columns ``STABILITY``, one row for each plugin, run, seed and later epoch, the trained
        network last.
    """
    rows = []
    complete = sensitivities[sensitivities.status == "complete"]
    for (plugin, run, model, seed), group in complete.groupby(
        ["plugin", "run", "model", "seed"], sort=False
    ):
        epochs = group.epoch.astype("Float64").fillna(TRAINED).tolist()
        by_epoch = dict(zip(epochs[::-1], group.sensitivity.tolist()[::-1], strict=True))
        if 0 not in by_epoch:
            continue
        first = _by_layer(scores, by_epoch.pop(0))
        for epoch, later in sorted(by_epoch.items()):
            found = _compared(first, _by_layer(scores, later))
            at = None if epoch == TRAINED else epoch
            rows.append((plugin, run, model, seed, at, *found))
    return pd.DataFrame(rows, columns=list(STABILITY)).astype({"epoch": "Int64", "layers": "Int64"})


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> RankCorrelation:
    """Return how alike two lists of scores order the same layers.

    Every order of the layers is as likely as any other under the null hypothesis. Up to seven
    layers all orders are counted; beyond, ``DRAWS`` random ones and the observed one.

    >>> rank_correlation([1, 2, 3, 4], [1, 2, 4, 3])
    RankCorrelation(layers=4, correlation=0.8, p=0.3333333333333333)
    """
    count = len(first)
    one, other = _centred_ranks(first), _centred_ranks(second)
    length = float(np.sqrt((one @ one) * (other @ other)))
    if count < 3 or length == 0:
        return RankCorrelation(count, nan, nan)
    correlation = float(one @ other) / length
    exact = factorial(count) <= DRAWS
    orders = np.array(list(permutations(other))) if exact else _shuffled(other)
    as_extreme = int((np.abs(orders @ one) / length >= abs(correlation) - 1e-9).sum())
    p = as_extreme / len(orders) if exact else (1 + as_extreme) / (1 + len(orders))
    return RankCorrelation(count, round(correlation, 12), p)


def _by_layer(scores: pd.DataFrame, sensitivity: str) -> pd.Series:
    """Return the scores of layers that do not depend on the bit-width."""
    rows = scores[(scores.sensitivity == sensitivity) & scores.bits.isna()]
    return rows[rows.operand == "layer"].set_index("layer").value


def _compared(first: pd.Series, second: pd.Series) -> RankCorrelation:
    shared = first.index.intersection(second.index, sort=False)
    return rank_correlation(first[shared].tolist(), second[shared].tolist())


def _centred_ranks(values: Sequence[float]) -> Ranks:
    """Return ranks minus their mean; equal values share a rank."""
    ranks = pd.Series(values, dtype=float).rank() - (len(values) + 1) / 2
    return np.array(ranks, dtype=np.float64)


def _shuffled(ranks: Ranks) -> Ranks:
    """Return random orders [DRAWS, n], the same every time."""
    return np.random.default_rng(0).permuted(np.tile(ranks, (DRAWS, 1)), axis=1)
