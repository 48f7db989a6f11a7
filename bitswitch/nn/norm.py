"""Batch normalisation with statistics and affine parameters for every bit-width."""

import torch
from torch import Tensor, nn

from bitswitch.nn.switch import BitSwitch
from bitswitch.quant.per_bit import PerBit, inactive
from bitswitch.types import BitSet


class SwitchableBatchNorm(nn.Module):
    """One batch norm per bit-width, each starting as a copy of a float one.

    At full precision the widest one is used.

    Args:
        norm: The float batch norm [channels].
        bitset: Bit-widths, widest first.

    Source: jin2020adabits, section 4.2 (switchable batch normalisation).
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, bitset: BitSet) -> None:
        super().__init__()
        self.eps = norm.eps
        self.momentum = norm.momentum
        self.weight = PerBit(bitset, norm.weight) if norm.affine else None
        self.bias = PerBit(bitset, norm.bias) if norm.affine else None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            value = getattr(norm, name)
            copies = None if value is None else torch.stack([value] * len(bitset))
            self.register_buffer(name, copies)
        self.switch = BitSwitch(bitset)
        self.to(next(iter(norm.state_dict().values()), torch.empty(0)).device)
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        index = self._index()
        weight = None if self.weight is None else self.weight.at(index)
        bias = None if self.bias is None else self.bias.at(index)
        if self.running_mean is None or self.running_var is None:
            return nn.functional.batch_norm(x, None, None, weight, bias, True, 0.0, self.eps)
        mean, var = _row(self.running_mean, index), _row(self.running_var, index)
        factor = self._count(index) if self.training else 0.0
        y = nn.functional.batch_norm(x, mean, var, weight, bias, self.training, factor, self.eps)
        if self.training and isinstance(index, Tensor):
            self.running_mean.index_copy_(0, index.reshape(1), mean[None])
            self.running_var.index_copy_(0, index.reshape(1), var[None])
        return y

    def inactive_parameters(self) -> list[nn.Parameter]:
        """Return parameters of bit-widths that are not in use."""
        return inactive(self, self.switch.bits)

    def _index(self) -> int | Tensor:
        return self.switch.position

    def _count(self, index: int | Tensor) -> float:
        """Count the batch and return its weight in the running statistics."""
        if self.num_batches_tracked is None:
            return self.momentum or 0.0
        if isinstance(index, Tensor):
            one = self.num_batches_tracked.new_ones(1)
            self.num_batches_tracked.index_add_(0, index.reshape(1), one)
        else:
            self.num_batches_tracked[index] += 1
        if self.momentum is None:
            return 1.0 / float(self.num_batches_tracked[index])
        return self.momentum


def _row(table: Tensor, index: int | Tensor) -> Tensor:
    """Return one row: a view for a number, a copy for a tensor."""
    if isinstance(index, Tensor):
        return table.index_select(0, index.reshape(1)).squeeze(0)
    return table[index]
