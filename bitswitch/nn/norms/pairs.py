"""Batch normalisation with statistics and affine parameters for every pair of bit-widths."""

from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.quant.per_bit import Key
from bitswitch.types import FLOAT_BITS, BitSet


def pair(weight: int, activation: int) -> Key:
    """Return the name of a pair of bit-widths: the bit-width itself where both are equal.

    >>> pair(4, 4), pair(4, 2)
    (4, 'w4a2')
    """
    return weight if weight == activation else f"w{weight}a{activation}"


def pairs(bitset: BitSet) -> tuple[Key, ...]:
    """Return all pairs from ``bitset``; those of equal bit-widths come first, widest first.

    >>> pairs((4, 2))
    (4, 2, 'w4a2', 'w2a4')
    """
    return (*bitset, *(pair(w, a) for w in bitset for a in bitset if w != a))


class BatchNormGrid(SwitchableBatchNorm):
    """One batch norm per (weight, activation) bit-widths of the quantized layer before it.

    All start as copies of a float one and are named by their pair: ``weight.w4a2`` follows a layer
    with 4-bit weights and 2-bit activations, ``weight.4`` one with 4 bits for both.

    Args:
        norm: The float batch norm [channels].
        bitset: Bit-widths, widest first; the widest is in use at first.

    Source: tang2024retraining, public code.
    """

    def __init__(self, norm: _BatchNorm, bitset: BitSet) -> None:
        super().__init__(norm, bitset, pairs(bitset))
        self.former_names = {f"{w}{a}": pair(w, a) for w in bitset for a in bitset if w != a}
        self.alone = False
        """Whether no quantized layer comes before: then one copy serves every bit-width."""

    def follow(self, layer: tuple[int, int], before: tuple[int, int]) -> None:
        widest = self.bitset[0]
        weight, activation = (widest if bits == FLOAT_BITS else bits for bits in layer)
        self.use(widest if self.alone else pair(weight, activation))
