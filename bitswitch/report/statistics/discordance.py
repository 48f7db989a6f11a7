"""Examples that two sides get right and wrong differently."""

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from bitswitch.report.statistics.significance import clustered_mcnemar

if TYPE_CHECKING:
    import numpy as np


class Discordance(NamedTuple):
    """Where two sides differ on a test set, networks of several seeds pooled by example."""

    left: int
    """Examples that the left side gets right with more seeds than the right one."""
    right: int
    p: float
    """Of McNemar's exact test, clustered by example."""
    shared: float
    """Standard error, over examples, of the mean difference in points: of that part which seeds
    share. What each has of its own is part of their spread."""


def discordant(left: "np.ndarray", right: "np.ndarray") -> Discordance:
    """Return where two sides differ.

    Networks of several seeds err together on an example, which therefore counts once, for the side
    that gets it right with more seeds, and for none where both do with as many. What their
    differences have in common is their covariance over examples; of one network it cannot be told
    from what is its own, and all counts.

    Args:
        left: Boolean, [examples] or [networks, examples]; whether it was right.
        right: The same of the other side.
    """
    import numpy as np

    leads = np.atleast_2d(left).astype(int) - np.atleast_2d(right)
    networks, examples = leads.shape
    lead = leads.sum(axis=0)
    variance = lead.var(ddof=1)
    if networks > 1:
        variance = (variance - leads.var(axis=1, ddof=1).sum()) / (networks * (networks - 1))
    return Discordance(
        left=int((lead > 0).sum()),
        right=int((lead < 0).sum()),
        p=clustered_mcnemar(lead.tolist()),
        shared=100 * sqrt(max(0.0, variance) / examples),
    )
