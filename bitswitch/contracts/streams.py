"""Names of the streams of training batches: each has an order and augmentation of its own."""

from typing import Literal, NamedTuple

Purpose = Literal[
    "training",
    "calibration",
    "finish",
    "pretrained check",
    "sensitivity",
    "recalibration",
    "search",
]
"""What batches are for."""

_KEYS: dict[Purpose, tuple[int, int]] = {
    "training": (0, 1),
    "calibration": (-1, 0),
    "finish": (-2, 0),
    "pretrained check": (-2, 0),
    "sensitivity": (-3, 0),
    "recalibration": (-4, 0),
    "search": (-1000, -1),
}
"""The key of epoch 0 by purpose, and what each further epoch adds; no addition: one epoch alone.

A key is part of the seed of every random number of its stream: another one is another result.
Two streams share a key. One decides whether a run may begin, the other what it does at last.
"""


class Stream(NamedTuple):
    """One shuffled, augmented epoch of training examples.

    >>> Stream("training", 3).key, Stream("calibration").key, Stream("search", 2).key
    (3, -1, -1002)
    """

    purpose: Purpose
    epoch: int = 0
    """0-based, of this purpose."""

    @property
    def key(self) -> int:
        """What seeds the order and the augmentation of this stream, together with a run's seed.

        Raises:
            ValueError: an unknown purpose, or an epoch that it does not have.
        """
        first, each = _KEYS.get(self.purpose, (None, 0))
        if first is None:
            raise ValueError(f"No stream is for '{self.purpose}'; known: {', '.join(_KEYS)}.")
        if self.epoch < 0 or (self.epoch > 0 and each == 0):
            last = "any from 0 on" if each else "0 alone"
            raise ValueError(f"Stream '{self.purpose}' has no epoch {self.epoch}, but {last}.")
        return first + each * self.epoch
