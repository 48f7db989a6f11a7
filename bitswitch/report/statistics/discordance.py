"""Examples that two sides get right and wrong differently."""

from math import hypot, sqrt
from typing import TYPE_CHECKING, NamedTuple

from bitswitch.report.statistics.significance import clustered_mcnemar

if TYPE_CHECKING:
    import numpy as np


class Discordance(NamedTuple):
    """Where two sides differ, networks of several seeds pooled by example."""

    left: int
    """Examples that the left side gets right with more seeds than the right one."""
    right: int
    p: float
    """Of McNemar's exact test, clustered by example."""
    shared: float
    """Standard error, over examples, of the mean difference in points: of that part which seeds
    share. What each has of its own is part of their spread."""


def discordant(*test_sets: tuple["np.ndarray", "np.ndarray"]) -> Discordance:
    """Return where two sides differ on one test set or more.

    Networks of several seeds err together on an example, which therefore counts once, for the side
    that gets it right with more seeds, and for none where both do with as many.

    Args:
        test_sets: Of each, what the left and what the right side gets right: boolean, [examples]
            or [networks, examples].
    """
    import numpy as np

    found = [np.atleast_2d(left).astype(int) - np.atleast_2d(right) for left, right in test_sets]
    networks = sum(len(leads) for leads in found)
    lead = np.concatenate([leads.sum(axis=0) for leads in found])
    return Discordance(
        left=int((lead > 0).sum()),
        right=int((lead < 0).sum()),
        p=clustered_mcnemar(lead.tolist()),
        shared=100 * hypot(*(len(leads) / networks * _shared(leads) for leads in found)),
    )


def _shared(leads: "np.ndarray") -> float:
    """Return the standard error of the mean lead that networks have in common.

    It is their covariance over examples. Of one network it cannot be told from what is its own,
    and all counts.
    """
    networks, examples = leads.shape
    variance = leads.sum(axis=0).var(ddof=1)
    if networks > 1:
        variance = (variance - leads.var(axis=1, ddof=1).sum()) / (networks * (networks - 1))
    return sqrt(max(0.0, variance) / examples)
