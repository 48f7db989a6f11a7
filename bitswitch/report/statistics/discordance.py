"""Examples that two sides get right and wrong differently."""

from math import inf, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Discordance(NamedTuple):
    """Where two sides differ on a test set, networks of several seeds pooled by example."""

    left: int
    """Examples that the left side gets right with more seeds than the right one."""
    right: int
    error: float
    """Standard error of the mean difference over other examples, in points."""


def discordant(left: "np.ndarray", right: "np.ndarray") -> Discordance:
    """Return where two sides differ.

    Networks of several seeds are pooled by example, since those of one example err together: it
    counts once, for the side that gets it right with more seeds, and for none where both do with
    as many. The error is that of the mean over examples of how often left is right more often.

    Args:
        left: Boolean, [examples] or [networks, examples]; whether it was right.
        right: The same of the other side.
    """
    import numpy as np

    left, right = np.atleast_2d(left), np.atleast_2d(right)
    lead = left.sum(axis=0, dtype=int) - right.sum(axis=0, dtype=int)
    networks, examples = left.shape
    spread = 100 * float(lead.std(ddof=1)) / networks if examples > 1 else inf
    return Discordance(int((lead > 0).sum()), int((lead < 0).sum()), spread / sqrt(examples))
