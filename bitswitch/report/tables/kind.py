"""What makes the table of an experiment: the contract of plugins in group ``bitswitch.tables``."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from bitswitch.errors import ReportError
from bitswitch.report.analysis.origin import stamp
from bitswitch.report.analysis.values import Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import Footnotes, Section, Table
from bitswitch.suite.suite import ExperimentSpec

Build = Callable[[Frames, str, str], Table]
"""Gets the collected results of a suite, the key of an experiment and the name of its table."""


@dataclass(frozen=True)
class TableKind:
    """A way to show an experiment; entry points name instances, suites the entry points.

    A table says ``stamp(frames, data)`` of its origin, prints a dash with a footnote where
    something is missing, and never a number that is not in the frames.
    """

    build: Build
    variants_need: Literal["search", "scores", "deploy"] | None = None
    """Key that every variant of the experiment has to have."""
    needs_beside: bool = False
    """Whether the experiment has to name what stands beside it."""
    names_cells: bool = False
    """Whether links lead to each cell of a run, by ``anchor``; else to the table."""

    def check(self, name: str, experiment: str, spec: ExperimentSpec) -> None:
        """Raise unless the table can show an experiment.

        Args:
            name: Of the kind of table.
            experiment: Key in the suite.
            spec: The experiment.

        Raises:
            ReportError: it lacks what the table shows.
        """
        where = f"experiments.{experiment}: table '{name}'"
        for variant, recipe in spec.variants.items():
            key = self.variants_need
            if key is not None and not recipe.not_run and not getattr(recipe, key):
                raise ReportError(
                    f"{where} shows what '{key}' leads to, and variant '{variant}' has none.\n"
                    f"  Give it '{key}', or choose another table, e.g. table: accuracy"
                )
        if self.needs_beside and spec.beside is None:
            raise ReportError(
                f"{where} sets other trainings beside these.\n"
                "  Say which: beside: {experiment: ..., variant: ...}"
            )


def table_of(
    values: Values,
    name: str,
    sections: Iterable[Section],
    notes: Iterable[str],
    footnotes: Footnotes,
) -> Table:
    """Return a table of an experiment, with its title and origin.

    Args:
        values: Of the experiment.
        name: Of the table.
        sections: May still add footnotes.
        notes: How to read it.
        footnotes: Those of ``sections``.
    """
    return Table(
        name=name,
        title=values.recipe.title,
        stamp=stamp(values.frames, (network.data for network in values.networks)),
        sections=tuple(sections),
        notes=tuple(notes),
        footnotes=footnotes.listed(),
    )
