"""Operands that stay as they are, whatever the bit-width."""

from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.quant.quantizer import Codes, Quantizer, Width


class Unquantized(Quantizer):
    """Gives what it gets; stands where an operand is never quantized.

    >>> import torch
    >>> Unquantized()(torch.tensor([0.3]), Width.of(2, (8, 2))).item() == torch.tensor(0.3).item()
    True
    """

    def forward(self, x: Tensor, width: Width) -> Tensor:
        return x

    def encode(self, x: Tensor, width: Width) -> Codes:
        raise EncodingError("An operand that stays at full precision has no codes.")
