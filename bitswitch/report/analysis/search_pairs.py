"""Two searches of the same trained networks within one budget: seeds in pairs, and examples."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report import statistics
from bitswitch.report.analysis import subnets
from bitswitch.report.analysis.values import LOST
from bitswitch.report.collect.frames import Frames
from bitswitch.report.statistics import Discordance, Paired

NOT_RUN = "not run to the end"
SURVIVORS = "nothing is claimed where sub-nets of either search collapsed or diverged"
NOT_KEPT = "it was not kept which examples were right"

Row = dict[Any, Any]
"""Of ``subnets.of_experiment``."""


class Compared(NamedTuple):
    """What one search is better by than another."""

    paired: Paired
    """Differences by seed of training, on the metric's scale."""
    discordant: Discordance | None
    """Where both differ on test examples, all networks pooled; None: that was not kept."""


def partners(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[tuple[Row, Row]]:
    """Yield the sub-nets that two searches found in the same trained network, two by two.

    They have the same seed of the search too; one that draws nothing has a single seed, which
    stands beside all of the other one.

    Args:
        one: Rows of ``subnets.of_experiment`` of one variant and budget.
        other: Of another variant.
    """
    for seed in [seed for seed in dict.fromkeys(one.seed) if seed in set(other.seed)]:
        left, right = (_by_search_seed(rows[rows.seed == seed]) for rows in (one, other))
        if len(left) == 1:
            left = dict.fromkeys(right, *left.values())
        if len(right) == 1:
            right = dict.fromkeys(left, *right.values())
        for search_seed in sorted(left.keys() & right.keys()):
            yield left[search_seed], right[search_seed]


def compare(
    frames: Frames, one: pd.DataFrame, other: pd.DataFrame, role: str, metric: Metric
) -> Compared | str:
    """Return what ``one`` is better by than ``other``, or why nothing can be said.

    Args:
        frames: Collected results.
        one: See ``partners``.
        other: See ``partners``.
        role: One of ``subnets.HEADLINES``.
        metric: The headline.
    """
    both = pd.concat([one, other])
    if both[f"{role}_status"].isin(LOST).any() or both.status.isin(LOST).any():
        return SURVIVORS
    pairs = [pair for pair in partners(one, other) if not any(pd.isna(side[role]) for side in pair)]
    if not pairs:
        return NOT_RUN
    by_seed: dict[int, list[float]] = {}
    for left, right in pairs:
        difference = metric.scaled(left[role]) - metric.scaled(right[role])
        by_seed.setdefault(int(left["seed"]), []).append(difference)
    paired = Paired.of([fmean(by_seed[seed]) for seed in sorted(by_seed)])
    return Compared(paired, _discordant(frames, pairs, role, metric))


def adjusted(found: list[Compared | str]) -> list[float | None]:
    """Return McNemar's p of each, adjusted for all of them by Holm's method; None: not tested."""
    sides = [one.discordant if isinstance(one, Compared) else None for one in found]
    known = iter(statistics.holm([one.p for one in sides if one is not None]))
    return [None if one is None else next(known) for one in sides]


def _by_search_seed(rows: pd.DataFrame) -> dict[int, Row]:
    return {int(row["search_seed"]): row for row in rows.to_dict("records")}


def _discordant(
    frames: Frames, pairs: list[tuple[Row, Row]], role: str, metric: Metric
) -> Discordance | None:
    """Return where two sides differ on test examples, or None."""
    name = metric.name + role.removeprefix(subnets.HEADLINES[0])
    sides = [
        [frames.correct(row["search"], row["budget"], name) for row in side]
        for side in zip(*pairs, strict=True)
    ]
    left, right = ([one for one in side if one is not None] for side in sides)
    if len(left) < len(pairs) or len(right) < len(pairs):
        return None
    return statistics.discordant((np.stack(left), np.stack(right)))
