"""Columns that say how a row came about: distillation, stored bits, epochs and recipe."""

from bitswitch.contracts.card import Storage
from bitswitch.report.analysis.values import Network, Values
from bitswitch.report.collect.published import Setup, setups
from bitswitch.report.render.table import Entry
from bitswitch.report.tables import search_conditions
from bitswitch.report.tables.search_conditions import SearchConditions
from bitswitch.suite.claims import KD
from bitswitch.suite.variants import NetworkSpec, VariantSpec

COLUMNS = ("KD", "stored", "epochs", "recipe")
"""Followed by those of ``search_conditions`` where a variant searches."""

NOTES = (
    "KD: trained with soft targets; methods with and without are not compared.",
    "Stored: bits per weight that must be kept to run at every bit-width; published: as printed.",
    "Recipe: equal, every method is trained as this network is, from the same start; "
    "published-recipe, the method's own recipe is laid over that; own, what its publication used. "
    "Rows trained in another way than the printed one are not set against it.",
)

Entries = tuple[Entry, ...]


def applies(values: Values) -> bool:
    """Return whether an experiment compares methods or recipes, so that rows must say theirs."""
    variants = values.recipe.variants.values()
    special = any(
        variant.not_run or variant.search or variant.preset == "published-recipe"
        for variant in variants
    )
    return special or len({variant.method.name for variant in variants}) > 1


def is_distilled(variant: VariantSpec, network: NetworkSpec | None) -> bool:
    """Return whether a variant learns from soft targets, its method's own or the recipe's."""
    default = network.training.distillation if network else "none"
    soft = variant.training.get("distillation", default) != "none"
    return soft or (variant.published or "").endswith(KD)


class Conditions:
    """The entries of one network's rows in ``COLUMNS``."""

    def __init__(self, values: Values, network: Network) -> None:
        self._variants = values.recipe.variants
        self._network = values.frames.suite.networks.get(network.name or "")
        self._model = network.published or ""
        self._printed = setups(values.recipe.printed)
        self._rows = values.rows_of(network.name)
        self._runs = values.frames.by_run
        self._ended = values.frames.ended
        searched = search_conditions.applies(values)
        self._searches = SearchConditions(values, network) if searched else None
        self.columns = COLUMNS + (search_conditions.COLUMNS if searched else ())

    def published(self, variant: str) -> Entries:
        """Return the entries of a printed row."""
        setup = self._setup(variant)
        texts = (self._kd(variant), setup.storage, setup.epochs, "own")
        found = self._searches.published(setup) if self._searches else ()
        return (*(Entry(text, tone="published") for text in texts), *found)

    def reproduced(self, variant: str) -> Entries:
        """Return the entries of a row of this suite; empty ones before any run of it has ended."""
        if not self._runs_of(variant):
            return (Entry(),) * len(self.columns)
        recipe = self._variants[variant].preset
        texts = (self._kd(variant), self._stored(variant), self._epochs(variant), recipe)
        found = self._searches.reproduced(variant) if self._searches else ()
        return (*map(Entry, texts), *found)

    def storage(self, variant: str) -> Storage | None:
        """Return what has to be kept of a row to run at every bit-width; None: it was not run."""
        kept = self._runs.storage[self._runs_of(variant)]
        if kept.empty:
            return None
        most: tuple[Storage, ...] = ("floats", "tables")
        return next((kind for kind in most if (kept == kind).any()), "codes")

    def remark(self, variant: str) -> str:
        """Return what is odd about the printed row, or nothing."""
        return self._setup(variant).note

    def _setup(self, variant: str) -> Setup:
        place = (self._model, self._variants[variant].published or "")
        return self._printed.get(place, Setup())

    def _kd(self, variant: str) -> str:
        return "yes" if is_distilled(self._variants[variant], self._network) else "no"

    def _stored(self, variant: str) -> str:
        """Return the bits per stored weight, one number per bit set where they differ."""
        rows = self._rows[
            self._rows.run.isin(self._runs_of(variant)) & (self._rows.variant == variant)
        ]
        kept, found = self.storage(variant), []
        for _, group in rows.groupby("bitset", sort=False):
            trained = [_widths(self._runs.bitset[run]) for run in dict.fromkeys(group.run)]
            if all(len(widths) == 1 for widths in trained):
                found.append("+".join(dict.fromkeys(widths[0] for widths in trained)))
            else:
                tables = " and tables" if kept == "tables" else ""
                found.append("32" if kept == "floats" else f"{trained[0][0]}{tables}")
        return "/".join(dict.fromkeys(found))

    def _runs_of(self, variant: str) -> list[str]:
        """Return the ids of the runs behind a row that came to an end."""
        ids = self._rows.loc[self._rows.variant == variant, "run"].unique()
        return [run for run in ids if run in self._ended]

    def _epochs(self, variant: str) -> str:
        """Return the epochs of training, 0 where a method takes no step."""
        runs = self._runs.loc[self._runs_of(variant)]
        epochs = runs.epochs.where(runs.steps != 0, 0)
        return "/".join(dict.fromkeys(f"{number:.0f}" for number in epochs))


def _widths(bitset: str) -> list[str]:
    """Return the bit-widths of a bit set as tables print it, widest first."""
    return bitset.strip("{}").split(",")
