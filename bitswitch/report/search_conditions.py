"""Columns that say how the sub-nets of a row were found: the search, and what it took."""

from statistics import fmean

from bitswitch.report import subnets
from bitswitch.report.health import short_time
from bitswitch.report.published import Setup
from bitswitch.report.table import Entry
from bitswitch.report.values import Network, Values

COLUMNS = ("training", "search", "time", "eval.", "tuned")

NOTE = (
    "Training: time of training the network, without what it starts from; search: what chose the "
    "sub-nets, and the time that took for one budget, scores of layers that it reads included; "
    "eval.: evaluations of a sub-net on held-out images; tuned: epochs that the sub-net was "
    "trained on alone before the test. Mixed-precision columns give the sub-net, 3MP the one with "
    "at most 3 bits on average. All times are means over seeds, on this suite's device."
)

Entries = tuple[Entry, ...]


def applies(values: Values) -> bool:
    """Return whether rows of an experiment differ in how sub-nets are found."""
    return any(arm.search for arm in values.recipe.arms.values())


class SearchConditions:
    """The entries of one network's rows in ``COLUMNS``."""

    def __init__(self, values: Values, network: Network) -> None:
        self._arms = values.recipe.arms
        found = subnets.of_experiment(values.frames, values.experiment)
        self._found = found[found.network == network.name]
        self._rows = values.rows_of(network.name)
        self._runs = values.frames.runs.set_index("run")

    def published(self, setup: Setup) -> Entries:
        """Return the entries of a printed row."""
        texts = ("", setup.search, "", "", setup.tuned)
        return tuple(Entry(text, tone="published") for text in texts)

    def reproduced(self, arm: str) -> Entries:
        """Return the entries of a row that was run here."""
        search = self._arms[arm].search
        if search is None:
            return (Entry(self._training(arm)), *[Entry()] * (len(COLUMNS) - 1))
        rows = self._found[self._found.arm == arm]
        epochs = max(subnets.values_of(rows, "retraining_epochs"), default=0)
        evaluations = subnets.values_of(rows, "evaluations")
        times = subnets.values_of(rows.fillna({"scoring_time_s": 0.0}), "search_time_s")
        scoring = subnets.values_of(rows.fillna({"scoring_time_s": 0.0}), "scoring_time_s")
        texts = (
            self._training(arm),
            search.search.name,
            short_time(fmean(times) + fmean(scoring)) if times else "",
            f"{fmean(evaluations):.0f}" if evaluations else "",
            f"{epochs:.0f} epochs" if epochs else "no",
        )
        return tuple(map(Entry, texts))

    def _training(self, arm: str) -> str:
        """Return how long the networks of a row took to train, on average over seeds."""
        ids = self._rows.loc[self._rows.arm == arm, "run"].dropna().unique()
        times = self._runs.loc[ids, "train_time_s"].dropna()
        return short_time(times.mean()) if len(times) else ""
