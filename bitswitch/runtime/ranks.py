"""Processes that work on one run together: who is which, and what they tell each other.

Every rank holds the whole network and takes its share of every batch. What a rank finds in its
share is added up over all of them, so that they go on as one. Without other ranks nothing of this
costs anything: no process group, no copies.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from bitswitch.errors import RanksError, SpecError
from bitswitch.runtime.devices import make_current

PATIENCE = timedelta(minutes=30)
"""For another rank, which may be writing a checkpoint."""


Found = TypeVar("Found")


@dataclass(eq=False)
class Ranks:
    """All ranks, as one of them sees them."""

    rank: int = 0
    """Of this process, from 0."""
    count: int = 1
    stopping: bool = False
    """Whether this rank was asked to stop; the others do not know yet."""
    stopped: bool = False
    """Whether all ranks know that one was asked to stop."""

    @classmethod
    @contextmanager
    def joined_on(cls, device: torch.device) -> Iterator[Self]:
        """Yield all ranks that the environment names, as torchrun sets it; else this one alone.

        Args:
            device: Of this rank.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            yield cls()
            return
        kind = "nccl" if device.type == "cuda" else "gloo"
        make_current(device)
        torch.distributed.init_process_group(kind, timeout=PATIENCE)
        try:
            yield cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        finally:
            torch.distributed.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this rank writes files and speaks for all."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.count == 1

    def meet(self) -> None:
        """Wait until all ranks are here."""
        if not self.alone:
            _told(torch.distributed.barrier)

    def total(self, tensors: Iterable[Tensor]) -> None:
        """Replace all ``tensors`` by their sums over the ranks, in few messages."""
        if self.alone:
            return
        for group in _by_type(tensors):
            flat = torch.cat([one.reshape(-1) for one in group])
            _told(torch.distributed.all_reduce, flat)
            parts = torch.split(flat, [one.numel() for one in group])
            torch._foreach_copy_(
                group, [part.view_as(one) for part, one in zip(parts, group, strict=True)]
            )

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace all ``tensors`` by their means over the ranks."""
        if not self.alone and tensors:
            self.total(tensors)
            torch._foreach_div_([one.detach() for one in tensors], self.count)

    def summed(self, share: Tensor) -> Tensor:
        """Return the sum of ``share`` over the ranks, through which gradients flow."""
        total: Tensor = _Sum.apply(share)
        return total

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Replace all ``tensors`` by those of the leading rank."""
        if self.alone:
            return
        for tensor in tensors:
            kept = tensor.detach().contiguous()
            _told(torch.distributed.broadcast, kept, 0)
            tensor.detach().copy_(kept)

    def joined(self, share: Tensor) -> Tensor:
        """Return the shares [n, ...] of all ranks behind each other, [count * n, ...]."""
        if self.alone:
            return share
        whole = share.new_empty((self.count * len(share), *share.shape[1:]))
        _told(torch.distributed.all_gather_into_tensor, whole, share.contiguous())
        return whole

    def gathered(self, value: Found, device: torch.device) -> list[Found]:
        """Return what every rank says, in their order.

        Args:
            value: Anything that can be pickled.
            device: Of this rank, where tensors of the others come to lie.
        """
        if self.alone:
            return [value]
        buffer = BytesIO()
        torch.save(value, buffer)
        sent: list[bytes] = [b""] * self.count
        _told(torch.distributed.all_gather_object, sent, buffer.getvalue())
        return [torch.load(BytesIO(one), device, weights_only=False) for one in sent]

    def part(self, size: int) -> slice:
        """Return where this rank's part of ``size`` things is: neighbours, and nearly as many.

        >>> [list(range(7)[Ranks(rank, 2).part(7)]) for rank in (0, 1)]
        [[0, 1, 2, 3], [4, 5, 6]]
        """
        length, more = divmod(size, self.count)
        start = self.rank * length + min(self.rank, more)
        return slice(start, start + length + (self.rank < more))

    def parts(self, accumulate: int) -> int:
        """Return in how many parts this rank's share goes through the network.

        Args:
            accumulate: In how many parts the whole batch would.
        """
        return -(-accumulate // self.count)

    def equal_share(self, batch_size: int) -> int:
        """Return how many examples of every batch are this rank's.

        Raises:
            SpecError: a batch cannot be cut into so many equal parts.
        """
        size, more = divmod(batch_size, self.count)
        if more:
            raise SpecError(
                f"training.batch_size {batch_size} does not divide among {self.count} processes.\n"
                f"  Take as many processes as divide it: {_divisors(batch_size, self.count)}."
            )
        return size


class _Sum(torch.autograd.Function):
    """Adds up the shares of all ranks; every rank's loss depends on every share."""

    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        total = share.clone(memory_format=torch.contiguous_format)
        _told(torch.distributed.all_reduce, total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (total,) = (one.clone(memory_format=torch.contiguous_format) for one in gradients)
        _told(torch.distributed.all_reduce, total)
        return total


ALONE = Ranks()
"""One process, as nearly always."""


def _told(tell: Callable[..., object], *values: object) -> None:
    """Let the ranks ``tell`` each other something.

    Raises:
        RanksError: another rank does not answer.
    """
    try:
        tell(*values)
    except RuntimeError as error:
        raise RanksError(
            "Another process of this run has ended, or does not answer; what is saved stays.\n"
            f"  Run it again to continue. ({str(error).partition('. ')[0]})"
        ) from error


def _by_type(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor.detach())
    return list(groups.values())


def _divisors(size: int, most: int) -> str:
    return ", ".join(str(n) for n in range(1, most + 1) if size % n == 0)
