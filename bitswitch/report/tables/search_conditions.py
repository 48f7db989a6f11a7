"""Columns that say how the sub-nets of a row were found: the search, and what it took."""

from math import isnan
from statistics import fmean

import pandas as pd

from bitswitch.report.analysis import subnets
from bitswitch.report.analysis.effort import Effort
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.published import Setup
from bitswitch.report.render.table import Entry
from bitswitch.text import duration

COLUMNS = ("training", "search", "tuned")

NOTE = (
    "Training: time of training the network from full precision on: networks that it starts from "
    "and scores that guide it count. Search: what chose the sub-net; below, the time that took for "
    "one budget, evaluations, scores of layers that it reads and networks trained for these alone "
    "included, and the number of sub-nets that it evaluated on held-out {examples}. Tuned: epochs "
    "that the sub-net was trained on alone before the test; below, their time; published: whether "
    "it was. 3MP: the sub-net with at most 3 bits on average. Times are means over seeds, on this "
    "suite's device."
)

Entries = tuple[Entry, ...]


def applies(values: Values) -> bool:
    """Return whether rows of an experiment differ in how sub-nets are found."""
    return any(variant.search for variant in values.recipe.variants.values())


class SearchConditions:
    """The entries of one network's rows in ``COLUMNS``."""

    def __init__(self, values: Values, network: Network) -> None:
        self._variants = values.recipe.variants
        found = subnets.of_experiment(values.frames, values.experiment)
        self._found = found[found.network == network.name]
        self._rows = values.rows_of(network.name)
        self._effort = Effort(values.frames)

    def published(self, setup: Setup) -> Entries:
        """Return the entries of a printed row."""
        return tuple(Entry(text, tone="published") for text in ("", setup.search, setup.tuned))

    def reproduced(self, variant: str) -> Entries:
        """Return the entries of a row of this suite; of a search only once it has found one."""
        training = Entry(self._training(variant))
        search = self._variants[variant].search
        rows = self._found[self._found.variant == variant]
        if search is None or not subnets.values_of(rows, "search_time_s"):
            return (training, Entry(), Entry())
        epochs = max(subnets.values_of(rows, "retraining_epochs"), default=0)
        spent = duration(fmean(subnets.values_of(rows, "retraining_time_s"))) if epochs else ""
        tuned = Entry(f"{epochs:.0f}" if epochs else "no", below=spent)
        return (training, Entry(search.search.name, below=_effort(rows)), tuned)

    def _training(self, variant: str) -> str:
        """Return how long the networks of a row took to train, on average over seeds."""
        ids = self._rows.loc[self._rows.variant == variant, "run"].dropna().unique()
        times = [time for time in map(self._effort.of_network, ids) if not isnan(time)]
        return duration(fmean(times)) if times else ""


def _effort(rows: pd.DataFrame) -> str:
    """Return time and evaluations that one search took on average, scoring included."""
    keys = ("score_training_time_s", "scoring_time_s", "search_time_s")
    times = [subnets.values_of(rows, key) for key in keys]
    evaluations = fmean(subnets.values_of(rows, "evaluations"))
    counted = f", {evaluations:.0f}" if evaluations else ""
    return (duration(sum(map(fmean, times))) if all(times) else "") + counted
