"""Batch normalisation with statistics and affine parameters for every change of bit-width."""

from collections.abc import Iterable

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.nn.norms.switchable import STATISTICS, SwitchableBatchNorm, rename_copies
from bitswitch.quant.per_bit import Key
from bitswitch.types import FLOAT_BITS, BitSet


def transition(before: int, bits: int) -> Key:
    """Return the name of a transition: ``bits`` itself where the bit-width stays.

    >>> transition(4, 4), transition(4, 2)
    (4, '4to2')
    """
    return bits if before == bits else f"{before}to{bits}"


def transitions(bitset: BitSet) -> tuple[Key, ...]:
    """Return all transitions of ``bitset``; those that change nothing come first, widest first.

    >>> transitions((4, 2))
    (4, 2, '4to2', '2to4')
    """
    return tuple(transition(before, bits) for before, bits in _changes(bitset))


def _changes(bitset: BitSet) -> list[tuple[int, int]]:
    """Return what ``transitions`` names, as (before, bits)."""
    return [(b, b) for b in bitset] + [(a, b) for a in bitset for b in bitset if a != b]


def _former_names(bitset: BitSet) -> dict[str, Key]:
    """Return the transitions of ``bitset`` by their names in old state dicts."""
    return {f"{100 * a + b}": transition(a, b) for a, b in _changes(bitset) if a != b}


def spread(state: dict[str, Tensor], norms: Iterable[str], bitset: BitSet) -> dict[str, Tensor]:
    """Return ``state`` with a batch norm for every transition where it has one per bit-width.

    Each is a copy of the one for the bit-width of the layer that it follows. What is there for
    every transition already stays.

    Args:
        state: Of a model.
        norms: Names of its batch norms.
        bitset: Bit-widths of both, widest first.
    """
    filled = dict(state)
    rows = [bitset.index(bits) for _, bits in _changes(bitset)]
    for norm in norms:
        rename_copies(filled, f"{norm}.", _former_names(bitset))
        for name in (f"{norm}.weight", f"{norm}.bias"):
            for before, bits in _changes(bitset) if f"{name}.{bitset[0]}" in state else ():
                filled.setdefault(f"{name}.{transition(before, bits)}", state[f"{name}.{bits}"])
        for name in (f"{norm}.{last}" for last in STATISTICS):
            if name in state and len(state[name]) == len(bitset):
                filled[name] = state[name][rows]
    return filled


class TransitionalBatchNorm(SwitchableBatchNorm):
    """One batch norm per pair of bit-widths: of the layer before this one, and of this layer.

    All start as copies of a float one and are named by their transition: ``weight.4to2`` follows a
    layer of 2 bits that comes after one of 4, ``weight.4`` a layer of 4 bits after one of 4. At one
    bit-width for the whole network only the latter kind is in use, and so it always is after the
    first quantized layer, which comes after none.

    Args:
        norm: The float batch norm [channels].
        bitset: Bit-widths, widest first; the widest is in use at first.

    Source: bulat2021bitmixer (transitional batch norm).
    """

    def __init__(self, norm: _BatchNorm, bitset: BitSet) -> None:
        super().__init__(norm, bitset, transitions(bitset))
        self.former_names = _former_names(bitset)

    def follow(self, layer: tuple[int, int], before: tuple[int, int]) -> None:
        self.use(transition(self._bits(before), self._bits(layer)))

    def _bits(self, operands: tuple[int, int]) -> int:
        """Return the narrower bit-width of a layer, the widest where both operands are float."""
        bits = min(operands)
        return self.bitset[0] if bits == FLOAT_BITS else bits
