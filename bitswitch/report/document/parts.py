"""All that documents include besides figures."""

from pathlib import Path

from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import exact, scorecard
from bitswitch.report.tables import tables

OUTPUTS = (*scorecard.OUTPUTS, *exact.OUTPUTS, tables.STYLE)
"""Files that ``write`` makes in ``results/<suite>/``, besides those of tables."""


def write(frames: Frames, folder: Path, called: str | None = None) -> None:
    """Write ``OUTPUTS`` and all tables below ``folder``.

    Args:
        frames: All collected tables.
        folder: ``results/<suite>``.
        called: What commands call the suite, a path say; None: its name.
    """
    scorecard.write(frames, folder, called)
    exact.write(frames, folder)
    tables.write_style(folder)
    for name in tables.names(frames.suite):
        tables.write(name, folder, frames)
