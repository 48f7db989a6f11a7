"""Tables, figures and documents; never imports torch.

Data flow, one module per step; every step reads files and writes files:

==============================================  ================================================
``collect.write(suite, results, allow_mixed)``  run directories -> ``results/<suite>/*.csv``
``tables.write(name, folder)``                  those -> ``tables/<name>.tex`` and ``.html``
``figures.write(name, folder)``                 those -> ``figures/<name>.pdf`` and ``.png``
``html.write(suite, folder)``                   all of them -> ``report.html``
``pdf.write(suite, folder)``                    all of them -> ``report.pdf`` (or why there is none)
``errata.write(path)``                          published numbers -> ``docs/errata.md``
==============================================  ================================================

``tables.names(suite)`` and ``figures.names(suite)`` say what a suite has; ``collect.OUTPUTS`` and
``pdf.output_name()`` name the files. ``folder`` is ``results/<suite>``.

What the author of a table or figure imports is here, whichever module defines it, and is looked up
when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitswitch.report.analysis.origin import stamp
    from bitswitch.report.analysis.values import Network, Place, Sample, Values
    from bitswitch.report.collect.frames import Frames
    from bitswitch.report.figures.drawing import figure
    from bitswitch.report.figures.kind import Drawing, FigureKind, PerNetwork, Whole
    from bitswitch.report.render.table import (
        DASH,
        Entry,
        Footnotes,
        Group,
        Line,
        Section,
        Table,
    )
    from bitswitch.report.tables.kind import TableKind

__all__ = [
    "DASH",
    "Drawing",
    "Entry",
    "FigureKind",
    "Footnotes",
    "Frames",
    "Group",
    "Line",
    "Network",
    "PerNetwork",
    "Place",
    "Sample",
    "Section",
    "Table",
    "TableKind",
    "Values",
    "Whole",
    "figure",
    "stamp",
]

_MODULES = {
    "analysis.origin": "stamp",
    "analysis.values": "Network Place Sample Values",
    "collect.frames": "Frames",
    "figures.drawing": "figure",
    "figures.kind": "Drawing FigureKind PerNetwork Whole",
    "render.table": "DASH Entry Footnotes Group Line Section Table",
    "tables.kind": "TableKind",
}
_HOMES = {
    name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names.split()
}


if not TYPE_CHECKING:  # with it, type checkers would take every name for granted

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
