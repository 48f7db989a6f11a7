"""What goes into a deployed network and what comes out, as programs that run it see it."""

from collections.abc import Sequence
from typing import Literal, Self

import torch
from pydantic import PositiveInt
from torch import Tensor

from bitswitch.types import Strict

DTYPES = {"float32": torch.float32, "int64": torch.int64}
IMAGES, TOKENS, LOGITS = "images", "tokens", "logits"
IMAGE_DIMENSIONS = 3


class Signature(Strict):
    """A tensor of a network: [n, *shape]."""

    name: str
    dtype: Literal["float32", "int64"]
    shape: tuple[PositiveInt, ...]
    """Of one example."""

    @classmethod
    def of_inputs(cls, inputs: Tensor) -> Self:
        """Return that of ``inputs`` [n, ...], named by what they look like.

        >>> Signature.of_inputs(torch.zeros(1, 64, dtype=torch.int64)).name
        'tokens'
        """
        shape = tuple(inputs.shape[1:])
        if not inputs.is_floating_point():
            return cls(name=TOKENS, dtype="int64", shape=shape)
        name = IMAGES if len(shape) == IMAGE_DIMENSIONS else "inputs"
        return cls(name=name, dtype="float32", shape=shape)

    @classmethod
    def of_logits(cls, shape: Sequence[int]) -> Self:
        """Return that of logits [n, *shape]."""
        return cls(name=LOGITS, dtype="float32", shape=tuple(shape))

    @property
    def is_tokens(self) -> bool:
        """Whether it holds numbers of rows of a table."""
        return self.dtype == "int64"

    def zeros(self, count: int, device: torch.device | None = None) -> Tensor:
        """Return ``count`` examples of zeros."""
        return torch.zeros(count, *self.shape, dtype=DTYPES[self.dtype], device=device)

    def noise(self, count: int, rows: int) -> Tensor:
        """Return ``count`` made-up examples, always the same.

        Args:
            count: How many.
            rows: Of the table that tokens number.
        """
        draw = torch.Generator().manual_seed(0)
        if self.is_tokens:
            return torch.randint(rows, (count, *self.shape), generator=draw)
        return torch.randn(count, *self.shape, generator=draw)
