"""The energy of training, as tables print it."""

import pandas as pd

from bitswitch.report.analysis.training_times import Energy, energy_of
from bitswitch.report.render.table import DASH, Entry, Footnotes

WH_J, KWH_J = 3.6e3, 3.6e6

SHARED = "other processes were at work on the same device, and the counter holds their energy too"


def energy(found: Energy | str | pd.DataFrame, unit_j: float, footnotes: Footnotes) -> Entry:
    """Return an energy, or a dash with the reason why it is not known.

    Args:
        found: What was counted, or the reason, or the rows of runs whose mean is wanted.
        unit_j: Joules of the unit.
        footnotes: Get what has to be said of it.
    """
    found = energy_of(found) if isinstance(found, pd.DataFrame) else found
    if isinstance(found, str):
        return Entry(DASH, marks=(footnotes.mark(f"energy is not known: {found}"),))
    marks = (footnotes.mark(SHARED),) if found.is_shared else ()
    return Entry(f"{found.joules / unit_j:.3g}", marks=marks)
