"""Batch normalisation that counts full precision as a bit-width of its own."""

from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.types import FLOAT_BITS, BitSet


class FloatSwitchableBatchNorm(SwitchableBatchNorm):
    """One batch norm per bit-width and one for full precision.

    Args:
        norm: The float batch norm [channels].
        bitset: Bit-widths without full precision, widest first; the widest is in use at first.

    Source: du2020quantizable (bit-specific batch normalisation).
    """

    def __init__(self, norm: _BatchNorm, bitset: BitSet) -> None:
        super().__init__(norm, (FLOAT_BITS, *bitset))
        self.switch(bitset[0])

    def follow(self, layer: tuple[int, int], before: tuple[int, int]) -> None:
        self.switch(min(layer))
