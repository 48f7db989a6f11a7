"""Random signs that complement each other, drawn without replacement."""

from typing import NamedTuple, Self

import torch
from torch import Tensor


def population(size: int) -> int:
    """Return how many orthogonal sign vectors there are for ``size`` elements: a power of two.

    >>> population(10), population(16)
    (16, 16)
    """
    return max(2, 1 << (size - 1).bit_length())


class OrthogonalSigns(NamedTuple):
    """For each of n images, rows of a Hadamard matrix in random order, columns flipped at random.

    Every single one is a vector of independent signs. The mean of u u^T over all of an image's
    vectors u is exactly the identity, and over some of them closer to it than over independent
    ones: by the factor 1 - k / population in the variance, as in all draws without replacement.
    """

    order: Tensor
    """int64 [n, population]: permutations."""
    flips: Tensor
    """int8 [n, size]: -1 or 1."""

    @classmethod
    def draw(cls, images: int, size: int, source: torch.Generator) -> Self:
        """Return signs for ``images`` vectors of ``size`` elements, on the CPU."""
        keys = torch.rand(images, population(size), generator=source)
        flips = torch.randint(2, (images, size), dtype=torch.int8, generator=source) * 2 - 1
        return cls(keys.argsort(1), flips)

    def vectors(self, index: int) -> Tensor:
        """Return every image's vector at ``index`` in its order [n, size]."""
        columns = torch.arange(self.flips.shape[1])
        # Sylvester's matrix has -1 where row and column numbers share an odd number of ones.
        parity = self.order[:, index, None] & columns
        shift = 32
        while shift:
            parity = parity ^ (parity >> shift)
            shift //= 2
        return self.flips * (1 - 2 * (parity & 1)).to(torch.int8)
