"""Tables, figures and documents; never imports torch.

Data flow, one module per step; every step reads files and writes files:

==============================================  ================================================
``collect.write(suite, results, allow_mixed)``  run directories -> ``results/<suite>/*.csv``
``parts.write(frames, folder)``                 those -> scorecard, what is exact, all tables
``tables.write(name, folder)``                  those -> ``tables/<name>.tex`` and ``.html``
``figures.write(name, folder)``                 those -> ``figures/<name>.pdf``, png, svg
``html.write(suite, folder)``                   all of them -> ``report.html``
``pdf.write(suite, folder)``                    all of them -> ``report.pdf``, its sources as zip
``errata.write(path)``                          published numbers -> ``docs/errata.md``
``packs.pack.write(suite, results, file)``      run directories -> one file, for all of the above
==============================================  ================================================

``tables.names(suite)`` and ``figures.names(suite)`` say what a suite has; ``collect.OUTPUTS`` and
``pdf.output_name()`` name the files. ``folder`` is ``results/<suite>``.

What the author of a table or figure imports is here, whichever module defines it, and is looked up
when it is first used.
"""

from typing import TYPE_CHECKING

from bitswitch.lazy import lazily

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

if not TYPE_CHECKING:  # with them, type checkers would take every name for granted
    __getattr__, __dir__ = lazily(__name__, _MODULES)
