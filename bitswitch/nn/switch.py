"""The bit-width in use at one place of a network."""

import torch
from torch import Tensor, nn

from bitswitch.quant.quantizer import Width
from bitswitch.types import FLOAT_BITS, BitSet


class BitSwitch(nn.Module):
    """Holds one bit-width of a bit set, as Python numbers and as data.

    Eager code reads the numbers. A compiled graph reads 0-d tensors from two small buffers, which
    ``set`` overwrites: so the graph knows no bit-width and serves all of them.
    """

    row: Tensor
    index: Tensor

    def __init__(self, bitset: BitSet) -> None:
        super().__init__()
        self.bitset = bitset
        self.bits = bitset[0]
        self.is_float = False
        row = torch.tensor(Width.of(bitset[0], bitset), dtype=torch.float32)
        self.register_buffer("row", row, persistent=False)
        self.register_buffer("index", torch.tensor(0), persistent=False)

    def set(self, bits: int) -> None:
        """Use ``bits`` from now on; ``FLOAT_BITS`` bypasses quantization."""
        self.bits = bits
        self.is_float = bits == FLOAT_BITS
        if not self.is_float:
            width = Width.of(bits, self.bitset)
            self.row.copy_(torch.tensor(width))
            self.index.fill_(int(width.index))

    @property
    def position(self) -> int | Tensor:
        """Position in the bit set of the bit-width in use."""
        return self.index if torch.compiler.is_compiling() else self.bitset.index(self.bits)

    @property
    def width(self) -> Width | None:
        """The width in use; None at full precision."""
        if self.is_float:
            return None
        if not torch.compiler.is_compiling():
            return Width.of(self.bits, self.bitset)
        bits, _, *bounds = self.row.unbind()
        return Width(bits, self.index, *bounds)
