"""What cells of tables measured that claims are about: by seed, in numbers to be subtracted."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from math import log10
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis.training_times import Clock, Saving
from bitswitch.report.analysis.values import LOST, Place, Row, Values
from bitswitch.report.claims.resolution import Pair, Spot
from bitswitch.report.collect.frames import Frames
from bitswitch.types import format_bitset

MINUTE_S = 60.0
BySeed = Mapping[int, float]


class Headlines(NamedTuple):
    """Headlines at one cell, by seed, on the metric's scale; larger is better."""

    values: BySeed
    noise: float
    """95 % half-width of one of them, from the size of the test set; 0 where not known."""
    lost: int
    """Seeds that collapsed or diverged: they count with what they measured, or with chance."""
    jobs: Mapping[int, list[tuple[str, str, str]]]
    """By seed, what keeps which examples were right: run or search, policy, metric."""


class Measures:
    """What one suite measured at its cells."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self._values: dict[str, Values] = {}
        self._headlines: dict[Spot, Headlines] = {}

    def metric(self, spot: Spot) -> Metric:
        """Return the headline of the network of a cell."""
        return self.frames.headlines[spot.network].metric

    def values(self, experiment: str) -> Values:
        """Return the numbers of one experiment."""
        if experiment not in self._values:
            self._values[experiment] = Values(self.frames, experiment)
        return self._values[experiment]

    def headlines(self, spot: Spot) -> Headlines:
        """Return the headlines at one cell, of the seeds that were trained to the end or failed."""
        if spot not in self._headlines:
            self._headlines[spot] = self._read(spot)
        return self._headlines[spot]

    def _read(self, spot: Spot) -> Headlines:
        headline = self.frames.headlines[spot.network]
        metric, by_seed = headline.metric, self._by_seed(spot)
        ended = {
            seed: [_value(row, headline.chance) for row in rows]
            for seed, rows in by_seed.items()
            if all(row["status"] in ("complete", *LOST) for row in rows)
        }
        values = {
            seed: metric.sign * fmean(metric.scaled(value) for value in found if value is not None)
            for seed, found in ended.items()
            if None not in found
        }
        used = [row for seed in values for row in by_seed[seed]]
        noises = [float(row["noise"]) for row in used if row["noise"] is not None]
        return Headlines(
            values,
            noise=max(noises, default=0.0),
            lost=sum(any(row["status"] in LOST for row in by_seed[seed]) for seed in values),
            jobs={seed: [_job(row) for row in by_seed[seed]] for seed in values},
        )

    def _by_seed(self, spot: Spot) -> dict[int, list[Row]]:
        """Return the rows of ``metrics.csv`` behind a cell."""
        place = Place(spot.variant, format_bitset(spot.bitset), spot.policy)
        rows = self.values(spot.experiment).headline_rows.get(spot.network, {}).get(place, [])
        found: dict[int, list[Row]] = {}
        for row in rows:
            found.setdefault(int(row["seed"]), []).append(row)
        return found

    def runs(self, spots: Iterable[Spot]) -> dict[int, list[str]]:
        """Return the runs in the rows of some cells by seed, ended ones alone."""
        found: dict[int, list[str]] = {}
        for rows in self._rows_at(spots):
            pairs = rows[["seed", "run"]].dropna().drop_duplicates()
            for seed, run in pairs.itertuples(index=False):
                if run in self.frames.ended:
                    found.setdefault(int(seed), []).append(str(run))
        return found

    def waiting(self, spots: Iterable[Spot]) -> frozenset[str]:
        """Return the runs in the rows of some cells that are still to be done."""
        missing = [rows.run[rows.status == "missing"] for rows in self._rows_at(spots)]
        return frozenset(str(run) for runs in missing for run in runs) - self.frames.ended

    def _rows_at(self, spots: Iterable[Spot]) -> Iterator[pd.DataFrame]:
        """Yield the rows of ``metrics.csv`` that stand in the rows of some cells."""
        for *place, bitset in dict.fromkeys(spot.row for spot in spots):
            rows = self._by_row.get((*place, format_bitset(bitset)))
            if rows is not None:
                yield rows

    @cached_property
    def _by_row(self) -> dict[Any, pd.DataFrame]:
        """The measured rows of ``metrics.csv`` by experiment, network, variant and bit set."""
        keys = ["experiment", "network", "variant", "bitset"]
        return dict(iter(self.frames.reproduced.groupby(keys, sort=False)))

    def savings(self, pairs: Iterable[Pair]) -> BySeed:
        """Return by seed what joint trainings save of separate ones, percent of the latter.

        Empty unless all were measured on one kind of device.
        """
        found: dict[int, list[float]] = {}
        for (spot, separate), chosen in _rows_of(pairs).items():
            clock = Clock(self.frames, separate, spot.network)
            alone = clock.separate_times(format_bitset(spot.bitset))
            if alone is None or not clock.is_fair:
                continue
            times = self._times("train_time_s")
            for seed, runs in self.runs(pair.left for pair in chosen).items():
                found.setdefault(seed, []).extend(
                    Saving(times[run], sum(alone)).of_separate for run in runs if run in times
                )
        return {seed: fmean(values) for seed, values in found.items() if values}

    def _times(self, column: str) -> dict[str, float]:
        runs = self.frames.runs
        timed = runs[runs[column].notna() & (runs.status != "missing")]
        return dict(zip(timed.run, timed[column].astype(float), strict=True))

    def scoring_minutes(self, spot: Spot) -> BySeed:
        """Return by seed how long the scores that a cell reports took."""
        uses = self.frames.sensitivity_uses
        uses = uses[(uses.experiment == spot.experiment) & (uses.network == spot.network)]
        uses = uses[(uses.variant == spot.variant) & (uses.bitset == format_bitset(spot.bitset))]
        uses = uses[uses.use == "reported"].merge(
            self.frames.sensitivities[["sensitivity", "time_s"]], on="sensitivity"
        )
        return _minutes(uses, "time_s")

    def search_minutes(self, spot: Spot) -> BySeed:
        """Return by seed how long the searches at a cell took."""
        jobs = self.headlines(spot).jobs.items()
        used = [(seed, job, budget) for seed, some in jobs for job, budget, _ in some]
        rows = pd.DataFrame(used, columns=["seed", "search", "budget"])
        policies = self.frames.policies[["search", "budget", "search_time_s"]]
        return _minutes(rows.merge(policies, on=["search", "budget"]), "search_time_s")

    def gradients(self, spot: Spot) -> BySeed:
        """Return by seed the logarithm, to base ten, of the mean size of weight-scale gradients."""
        sizes = self._gradient_sizes
        return {
            seed: log10(fmean(known))
            for seed, runs in self.runs([spot]).items()
            if (known := [sizes[run, spot.policy] for run in runs if (run, spot.policy) in sizes])
            and min(known) > 0
        }

    @cached_property
    def _gradient_sizes(self) -> dict[tuple[str, str], float]:
        """Mean over layers and epochs, by run and bit-width."""
        rows = self.frames.scale_gradients
        rows = rows[rows.operand == "weight"]
        means = rows.groupby(["run", "bits"], as_index=False).mean_abs.mean()
        keys = zip(means.run.astype(str), means.bits.astype(str), strict=True)
        return dict(zip(keys, means.mean_abs.astype(float), strict=True))

    def exceptions(self, spot: Spot) -> BySeed:
        """Return by seed how many predictions of stored integers no tie of rounding explains."""
        rows = self.frames.deployments
        rows = rows[(rows.status == "complete") & (rows.bits.astype(str) == spot.policy)]
        known = dict(zip(rows.run, rows.unexplained, strict=True))
        return {
            seed: float(sum(known[run] for run in runs))
            for seed, runs in self.runs([spot]).items()
            if known.keys() >= set(runs)
        }


def _rows_of(pairs: Iterable[Pair]) -> dict[tuple[Spot, str], list[Pair]]:
    """Return pairs by the row of their left cell and the experiment of their right one."""
    found: dict[tuple[Spot, str], list[Pair]] = {}
    for pair in pairs:
        if pair.right:
            row = pair.left._replace(policy="")
            found.setdefault((row, pair.right.experiment), []).append(pair)
    return found


def _value(row: Row, chance: float | None) -> float | None:
    """Return what a seed measured; chance where it failed without a value."""
    return chance if row["value"] is None else float(row["value"])


def _job(row: Row) -> tuple[str, str, str]:
    """Return what keeps which examples were right: its identifier, policy and metric."""
    policy = row["policy"] if row["search"] is None else row["budget"]
    return str(row["search"] or row["run"]), str(policy), str(row["metric"])


def _minutes(rows: pd.DataFrame, column: str) -> BySeed:
    """Return the mean of a time in minutes by seed."""
    known = rows[rows[column].notna()]
    means = known.groupby("seed", as_index=False)[column].mean()
    pairs = zip(means.seed, means[column], strict=True)
    return {int(seed): float(mean) / MINUTE_S for seed, mean in pairs}
