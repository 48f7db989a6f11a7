"""What plugins say of the work they do besides training steps and evaluations."""

from typing import NamedTuple


class Extent(NamedTuple):
    """What the work of a plugin depends on, besides its options."""

    layers: int
    """Convolutions and linear layers of the network."""
    epoch_images: int
    batch_size: int

    def images(self, batches: float) -> float:
        """Return how many images so many batches have, one epoch's at most."""
        return min(batches * self.batch_size, self.epoch_images)


class Work(NamedTuple):
    """Images that pass through a network, counted once for every bit-width; for cost estimates."""

    forward: float = 0.0
    """Forward alone."""
    trained: float = 0.0
    """Forward and backward."""
