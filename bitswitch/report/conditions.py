"""Columns that say how a row came about: distillation, stored bits, epochs and recipe."""

from bitswitch.arms import ArmSpec, NetworkSpec
from bitswitch.cards import Storage
from bitswitch.report import search_conditions
from bitswitch.report.published import KD, Setup, setups
from bitswitch.report.search_conditions import SearchConditions
from bitswitch.report.table import Entry
from bitswitch.report.values import Network, Values

COLUMNS = ("KD", "stored", "epochs", "recipe")
"""Followed by those of ``search_conditions`` where an arm searches."""

NOTES = (
    "KD: trained with soft targets; methods with and without are not compared.",
    "Stored: bits per weight that must be kept to run at every bit-width; published: as printed.",
    "Recipe: equal, every method is trained as this network is, from the same start; faithful, "
    "the method's own published recipe is laid over that; own, what its publication used. Rows "
    "trained in another way than the printed one are not set against it.",
)

Entries = tuple[Entry, ...]


def applies(values: Values) -> bool:
    """Return whether an experiment compares methods or recipes, so that rows must say theirs."""
    arms = values.recipe.arms.values()
    special = any(arm.not_run or arm.search or arm.preset == "faithful" for arm in arms)
    return special or len({arm.method.name for arm in arms}) > 1


def is_distilled(arm: ArmSpec, network: NetworkSpec | None) -> bool:
    """Return whether an arm learns from soft targets, its method's own or the recipe's."""
    default = network.training.distillation if network else "none"
    soft = arm.training.get("distillation", default) != "none"
    return soft or (arm.published or "").endswith(KD)


class Conditions:
    """The entries of one network's rows in ``COLUMNS``."""

    def __init__(self, values: Values, network: Network) -> None:
        self._arms = values.recipe.arms
        self._network = values.frames.suite.networks.get(network.name or "")
        self._model = network.published or ""
        self._printed = setups(values.recipe.printed)
        self._rows = values.rows_of(network.name)
        self._runs = values.frames.runs.set_index("run")
        self._ended = values.frames.ended
        searched = search_conditions.applies(values)
        self._searches = SearchConditions(values, network) if searched else None
        self.columns = COLUMNS + (search_conditions.COLUMNS if searched else ())

    def published(self, arm: str) -> Entries:
        """Return the entries of a printed row."""
        setup = self._setup(arm)
        texts = (self._kd(arm), setup.storage, setup.epochs, "own")
        found = self._searches.published(setup) if self._searches else ()
        return (*(Entry(text, tone="published") for text in texts), *found)

    def reproduced(self, arm: str) -> Entries:
        """Return the entries of a row of this suite; empty ones before any run of it has ended."""
        if not self._runs_of(arm):
            return (Entry(),) * len(self.columns)
        recipe = self._arms[arm].preset
        texts = (self._kd(arm), self._stored(arm), self._epochs(arm), recipe)
        found = self._searches.reproduced(arm) if self._searches else ()
        return (*map(Entry, texts), *found)

    def storage(self, arm: str) -> Storage | None:
        """Return what has to be kept of a row to run at every bit-width; None: it was not run."""
        kept = self._runs.storage[self._runs_of(arm)]
        if kept.empty:
            return None
        return "floats" if (kept == "floats").any() else "codes"

    def remark(self, arm: str) -> str:
        """Return what is odd about the printed row, or nothing."""
        return self._setup(arm).note

    def _setup(self, arm: str) -> Setup:
        place = (self._model, self._arms[arm].published or "")
        return self._printed.get(place, Setup())

    def _kd(self, arm: str) -> str:
        return "yes" if is_distilled(self._arms[arm], self._network) else "no"

    def _stored(self, arm: str) -> str:
        """Return the bits per stored weight, one number per bit set where they differ."""
        rows = self._rows[self._rows.run.isin(self._runs_of(arm)) & (self._rows.arm == arm)]
        floats, found = self.storage(arm) == "floats", []
        for _, group in rows.groupby("bitset", sort=False):
            trained = [_widths(self._runs.bitset[run]) for run in dict.fromkeys(group.run)]
            if all(len(widths) == 1 for widths in trained):
                found.append("+".join(dict.fromkeys(widths[0] for widths in trained)))
            else:
                found.append("32" if floats else trained[0][0])
        return "/".join(dict.fromkeys(found))

    def _runs_of(self, arm: str) -> list[str]:
        """Return the ids of the runs behind a row that came to an end."""
        ids = self._rows.loc[self._rows.arm == arm, "run"].unique()
        return [run for run in ids if run in self._ended]

    def _epochs(self, arm: str) -> str:
        """Return the epochs of training, 0 where a method takes no step."""
        runs = self._runs.loc[self._runs_of(arm)]
        epochs = runs.epochs.where(runs.steps != 0, 0)
        return "/".join(dict.fromkeys(f"{number:.0f}" for number in epochs))


def _widths(bitset: str) -> list[str]:
    """Return the bit-widths of a bit set as tables print it, widest first."""
    return bitset.strip("{}").split(",")
