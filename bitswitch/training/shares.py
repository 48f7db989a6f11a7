"""What one of several processes reads of a dataset."""

from collections.abc import Iterator

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.runtime.ranks import Ranks


class Share(OpenDataset):
    """An equal part of every training batch, and some whole batches of every evaluation.

    Args:
        whole: What all ranks read.
        ranks: Whose share it is.
    """

    def __init__(self, whole: OpenDataset, ranks: Ranks) -> None:
        self.whole, self.ranks = whole, ranks

    def size(self, split: str) -> int:
        return self.whole.size(split)

    def train_batches(
        self, batch_size: int, stream: Stream, seed: int, skip: int
    ) -> Iterator[Batch]:
        self.ranks.equal_share(batch_size)
        part = self.ranks.part(batch_size)
        yield from self.whole.train_parts(batch_size, stream, seed, skip, part)

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        count = -(-self.size(split) // batch_size)
        yield from self.whole.some_batches(split, batch_size, self.ranks.part(count))


def share_of(dataset: OpenDataset, ranks: Ranks) -> OpenDataset:
    """Return what this rank reads of ``dataset``."""
    return dataset if ranks.alone else Share(dataset, ranks)
