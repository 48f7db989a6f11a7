"""Examples that two sides get right and wrong differently."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def discordant(left: "np.ndarray", right: "np.ndarray") -> tuple[int, int]:
    """Return how many examples the left and the right side alone gets right.

    Networks of several seeds are pooled by example, since those of one example err together: it
    counts once, for the side that gets it right with more seeds, and for none where both do with
    as many.

    Args:
        left: Boolean, [examples] or [seeds, examples]; whether it was right.
        right: The same of the other side.
    """
    import numpy as np

    lead = np.atleast_2d(left).sum(axis=0, dtype=int) - np.atleast_2d(right).sum(axis=0, dtype=int)
    return int((lead > 0).sum()), int((lead < 0).sum())
