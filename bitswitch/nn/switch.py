"""The bit-width in use at one operand of a layer."""

import torch
from torch import Tensor

from bitswitch.quant.per_bit import Switchable, put
from bitswitch.quant.quantizer import Width
from bitswitch.types import FLOAT_BITS, BitSet

ALIGNED = 16
"""Bytes. What a graph reads begins at such an address, whatever the bit-width: GPU kernels that are
compiled for one that does read any other wrongly."""


class BitSwitch(Switchable):
    """Holds one bit-width of a bit set, as Python numbers and as data.

    Eager code reads the numbers. A compiled graph knows no bit-width: it takes them out of two
    tensors, and no more, since each is an input that every pass has to hand over.

    Args:
        bitset: Bit-widths, widest first; the widest is in use at first.
    """

    table: Tensor
    """float32 [bit-widths, fields of Width, 4]; the first of the last axis counts."""
    positions: Tensor
    """int64 [bit-widths, 2]; likewise."""
    is_float: bool
    """Whether the operand is not quantized."""
    _numbers: Width
    _row: Tensor
    """float32 [fields of Width]."""
    _position: Tensor
    """int64, 0-d."""

    def __init__(self, bitset: BitSet) -> None:
        super().__init__()
        self.bitset = bitset
        self._widths = [Width.of(bits, bitset) for bits in bitset]
        table = _apart(torch.tensor(self._widths, dtype=torch.float32))
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("positions", _apart(torch.arange(len(bitset))), persistent=False)
        self.bits = bitset[0]
        self.pick()

    def switch(self, bits: int) -> None:
        """Use ``bits`` from now on; ``FLOAT_BITS`` bypasses quantization."""
        is_float = bits == FLOAT_BITS
        put(self, bits=bits, is_float=is_float)
        if not is_float:
            numbers, row, position = self._known[bits]
            put(self, _numbers=numbers, _row=row, _position=position)

    def pick(self) -> None:
        rows = zip(self._widths, self.table, self.positions, strict=True)
        self._known = {
            bits: (numbers, row[:, 0], position[0])
            for bits, (numbers, row, position) in zip(self.bitset, rows, strict=True)
        }
        self.switch(self.bits)

    @property
    def width(self) -> Width | None:
        """The width in use; None at full precision."""
        if self.is_float:
            return None
        if torch.compiler.is_compiling():
            return _as_data(self._row, self._position)
        return self._numbers


def _apart(values: Tensor) -> Tensor:
    """Return ``values`` [...] so far apart that each is aligned, [..., copies]."""
    return torch.stack([values] * (ALIGNED // values.itemsize), dim=-1)


def _as_data(row: Tensor, position: Tensor) -> Width:
    """Return a width whose fields are 0-d tensors, those of ``row`` [fields] and ``position``."""
    value, _, *bounds = row.unbind()
    return Width(value, position, *bounds)
