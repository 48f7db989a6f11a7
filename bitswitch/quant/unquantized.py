"""Operands that stay as they are, whatever the bit-width."""

from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.quant.quantizer import Codes, Quantizer, Width


class Unquantized(Quantizer):
    """Gives what it gets; stands where an operand is never quantized."""

    def forward(self, x: Tensor, width: Width) -> Tensor:
        return x

    def encode(self, x: Tensor, width: Width) -> Codes:
        raise EncodingError("An operand that stays at full precision has no codes.")
