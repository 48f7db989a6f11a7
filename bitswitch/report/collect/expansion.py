"""What collecting asks of plugins, kept beside the tables, which are so made anew without them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from bitswitch.plugins import facts
from bitswitch.results.files import read_json, write_json
from bitswitch.suite.listing import cells_of, listed
from bitswitch.suite.suite import Cell, Suite

NAME = "expansion.json"


class Expansion(NamedTuple):
    """A suite as its plugins expand it, and what they say of it."""

    cells: tuple[Cell, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    """Facts by identifier; see ``plugins.facts.dataset_facts``."""
    methods: Mapping[str, Mapping[str, Any]]
    """Card, source, recipes and bit-width of first and last layer, in the order of the suite."""
    runs: Mapping[str, Mapping[str, Any]]
    """What is stored, and which bit-widths are sliced, by identifier."""

    @classmethod
    def of(cls, suite: Suite) -> Self:
        """Return what the installed plugins say of ``suite``."""
        choices = {cell.run.dataset.identifier: cell.run.dataset for cell in suite.cells}
        specs = {cell.run.method.name: cell.run for cell in suite.cells}
        return cls(
            cells=suite.cells,
            datasets={
                key: facts.dataset_facts(choice.name, choice.options)
                for key, choice in (choices | suite.datasets).items()
            },
            methods={
                name: facts.card(name) | {"first_last_bits": facts.first_last_bits(run)}
                for name, run in specs.items()
            },
            runs={
                key: {"storage": facts.storage(run), "sliced": facts.sliced(run)}
                for key, run in suite.runs.items()
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what ``write`` left in ``folder``.

        Raises:
            RecordError: it is not there, or damaged.
        """
        content = read_json(folder / NAME)
        return cls(cells_of(content), **content["said"])

    def write(self, folder: Path) -> None:
        """Write it below ``folder``."""
        said = {"datasets": self.datasets, "methods": self.methods, "runs": self.runs}
        write_json(folder / NAME, {**listed(self.cells), "said": said})
