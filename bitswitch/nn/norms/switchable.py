"""Batch normalisation with statistics and affine parameters for every bit-width."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.norms.together import batch_norm
from bitswitch.nn.switch import ALIGNED
from bitswitch.quant.per_bit import Key, PerBit, Switchable, put
from bitswitch.runtime import transfers
from bitswitch.runtime.ranks import Ranks
from bitswitch.types import BitSet

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
FRESH = (0, 1, 0)
"""What they are before any batch was seen."""


class Statistics(NamedTuple):
    """Running statistics of one bit-width, views of the module's buffers; None where untracked."""

    mean: Tensor | None
    """[channels]."""
    variance: Tensor | None
    """[channels]."""
    batches: Tensor | None
    """0-d, int64: how many were seen."""


class SwitchableBatchNorm(Switchable):
    """One batch norm per bit-width, each starting as a copy of a float one.

    Args:
        norm: The float batch norm [channels].
        bitset: Bit-widths, widest first.
        copies: Names of the copies, the first of which is in use at first; None: one per
            bit-width, named by it.

    Source: jin2020adabits, section 4.2 (switchable batch normalisation).
    """

    running_mean: Tensor | None
    """[copies, channels], as the next two [copies, ...]."""
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    copy: Key
    """Which of ``copies`` is in use."""
    _statistics: Statistics
    ranks: Ranks | None = None
    """Whose batches are normalised together; None: every part of a batch on its own."""
    former_names: Mapping[str, Key] = MappingProxyType({})
    """Names in old state dicts of copies that have another name now."""

    def __init__(
        self, norm: _BatchNorm, bitset: BitSet, copies: Sequence[Key] | None = None
    ) -> None:
        super().__init__()
        self.bitset = bitset
        self.copies: tuple[Key, ...] = tuple(bitset if copies is None else copies)
        self.eps = norm.eps
        self.momentum = norm.momentum
        self.weight = PerBit(self.copies, norm.weight) if norm.affine else None
        self.bias = PerBit(self.copies, norm.bias) if norm.affine else None
        for name in STATISTICS:
            value = getattr(norm, name)
            stacked = None if value is None else torch.stack([value] * len(self.copies))
            self.register_buffer(name, stacked)
        self._align()
        self._measured: int | None = None  # batches of a recalibration, which goes on
        self.use(self.copies[0])
        self.train(norm.training)

    def switch(self, bits: int) -> None:
        self.use(bits)

    def use(self, copy: Key) -> None:
        """Use one of ``copies`` from now on."""
        put(self, copy=copy)
        self.pick()

    def pick(self) -> None:
        for values in (self.weight, self.bias):
            if values is not None:
                values.use(self.copy)
        index = self.copies.index(self.copy)
        tables = (self._buffers[name] for name in STATISTICS)
        put(self, _statistics=Statistics(*(None if t is None else t[index] for t in tables)))

    def _align(self) -> None:
        """Let the statistics of every copy begin where a graph may read them."""
        for name in STATISTICS[:2]:
            table = getattr(self, name)
            if table is not None:
                setattr(self, name, _aligned(table))

    def begin_recalibration(self) -> None:
        """Reset the statistics in use; from now on, average evenly over the batches seen.

        See ``bitswitch.nn.recalibration``.
        """
        self._before = self.training
        self._measured = 0
        for statistic, start in zip(self._statistics, FRESH, strict=True):
            if statistic is not None:
                statistic.fill_(start)
        self.train()

    def end_recalibration(self) -> None:
        """Keep what was measured; the mode is again that from before."""
        self._measured = None
        self.train(self._before)

    def forward(self, x: Tensor) -> Tensor:
        statistics = self._statistics
        tracked = statistics.mean is not None
        return batch_norm(
            x,
            statistics.mean,
            statistics.variance,
            None if self.weight is None else self.weight.active,
            None if self.bias is None else self.bias.active,
            training=self.training or not tracked,
            momentum=self._count() if self.training and tracked else 0.0,
            eps=self.eps,
            ranks=self.ranks,
        )

    def _count(self) -> float:
        """Count the batch and return its weight in the running statistics."""
        batches = self._statistics.batches
        if batches is not None:
            batches.add_(1)
        if self._measured is not None:
            self._measured += 1
            return 1.0 / self._measured
        if self.momentum is None:
            return 0.0 if batches is None else 1.0 / transfers.to_host(batches)
        return self.momentum

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast as every module does, which leaves out what lies between the copies."""
        super()._apply(fn, recurse)
        self._align()
        self.pick()
        return self

    def _load_from_state_dict(
        self, state_dict: MutableMapping[str, Any], prefix: str, *args: Any
    ) -> None:
        """Load as every module does, also what was saved under former names."""
        rename_copies(state_dict, prefix, self.former_names)
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._align()  # those of a state dict may have been put in their place
        self.pick()


def _aligned(table: Tensor) -> Tensor:
    """Return ``table`` [copies, channels], or a copy with its rows apart; see ``ALIGNED``."""
    step = ALIGNED // table.itemsize
    if table.stride(0) % step == 0:
        return table
    channels = table.shape[1]
    rows = table.new_zeros(len(table), -(-channels // step) * step)[:, :channels]
    return rows.copy_(table)


def rename_copies(
    state: MutableMapping[str, Any], prefix: str, former_names: Mapping[str, Key]
) -> None:
    """Give parameters of one batch norm the names that they have now.

    Args:
        state: Of a model; is changed.
        prefix: Of the batch norm's names, with a dot at its end.
        former_names: The name now by the name in old state dicts.
    """
    for last in ("weight", "bias"):
        for former, name in former_names.items():
            if f"{prefix}{last}.{former}" in state:
                state[f"{prefix}{last}.{name}"] = state.pop(f"{prefix}{last}.{former}")
