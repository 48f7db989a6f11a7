"""One batch norm for all bit-widths, whose statistics may be measured for each of them at last."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.norms.together import batch_norm
from bitswitch.quant.per_bit import Switchable
from bitswitch.runtime import transfers
from bitswitch.runtime.ranks import Ranks
from bitswitch.types import FLOAT_BITS, BitSet


class SharedBatchNorm(Switchable):
    """Trains one set of statistics and affine parameters, whatever the bit-widths in use.

    In evaluation a bit-width uses the statistics that were measured for it (see
    ``bitswitch.nn.recalibration``), or those of training as long as there are none, as full
    precision always does.

    Args:
        norm: The float batch norm [channels].
        bitset: Bit-widths, widest first; the widest is in use at first.

    Source: xu2023eqnet, public code (one batch norm, recalibrated before every evaluation).
    """

    running_mean: Tensor | None
    """[channels], as the next two of training."""
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    measured_mean: Tensor | None
    """[bit-widths, channels], as the next one of recalibration."""
    measured_var: Tensor | None
    measured_batches: Tensor
    """int64 [bit-widths]: how many batches recalibration saw; 0: it is still to come."""
    ranks: Ranks | None = None
    """Whose batches are normalised together; None: every part of a batch on its own."""

    def __init__(self, norm: _BatchNorm, bitset: BitSet) -> None:
        super().__init__()
        self.bitset = bitset
        self.eps = norm.eps
        self.momentum = norm.momentum
        self.weight = norm.weight
        self.bias = norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        for name in ("mean", "var"):
            value = getattr(norm, f"running_{name}")
            copies = None if value is None else torch.stack([value] * len(bitset))
            self.register_buffer(f"measured_{name}", copies)
        self.register_buffer("measured_batches", torch.zeros(len(bitset), dtype=torch.int64))
        self._counts = [0] * len(bitset)  # the same, known without asking the device
        self._measuring = False
        self.switch(bitset[0])
        self.train(norm.training)

    def switch(self, bits: int) -> None:
        self.bits = bits
        self._index = -1 if bits == FLOAT_BITS else self.bitset.index(bits)

    def follow(self, layer: tuple[int, int], before: tuple[int, int]) -> None:
        """Switch to the narrower operand of ``layer``, or to full precision."""
        self.switch(min(layer))

    def begin_recalibration(self) -> None:
        """Forget the statistics of the bit-width in use; measure them in the calls that follow."""
        self._measuring = True
        self._counts[self._index] = 0
        self.measured_batches[self._index] = 0

    def end_recalibration(self) -> None:
        """Use what was measured from now on."""
        self._measuring = False

    def forward(self, x: Tensor) -> Tensor:
        measured = self._measuring or (not self.training and self._index >= 0 and self._measured)
        mean = self.measured_mean if measured else self.running_mean
        variance = self.measured_var if measured else self.running_var
        if measured and mean is not None and variance is not None:
            mean, variance = mean[self._index], variance[self._index]
        updates = (self.training or self._measuring) and mean is not None
        return batch_norm(
            x,
            mean,
            variance,
            self.weight,
            self.bias,
            training=updates or mean is None,
            momentum=self._count() if updates else 0.0,
            eps=self.eps,
            ranks=self.ranks,
        )

    @property
    def _measured(self) -> bool:
        """Whether the bit-width in use has statistics of its own."""
        return self._counts[self._index] > 0

    def _count(self) -> float:
        """Count the batch and return its weight in the running statistics."""
        if self._measuring:
            self._counts[self._index] += 1
            self.measured_batches[self._index] += 1
            return 1.0 / self._counts[self._index]
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return self.momentum
        batches = self.num_batches_tracked
        return 0.0 if batches is None else 1.0 / transfers.to_host(batches)

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        """Load as every module does, and note which bit-widths were measured."""
        super()._load_from_state_dict(*args, **options)
        self._counts = transfers.to_host(self.measured_batches)
