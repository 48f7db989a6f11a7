"""One parameter for every bit-width."""

import torch
from torch import Tensor, nn

from bitswitch.types import BitSet


class PerBit(nn.Module):
    """Independent parameters, one per bit-width, named by it: ``scale.8``, ``scale.6``.

    Those that a pass does not use get no gradient in eager mode, and a zero gradient in a
    compiled graph, which picks by a tensor.
    """

    def __init__(self, bitset: BitSet, value: Tensor) -> None:
        super().__init__()
        self._names = tuple(map(str, bitset))
        for name in self._names:
            self.register_parameter(name, nn.Parameter(value.detach().clone()))

    def at(self, index: int | Tensor) -> Tensor:
        """Return the value at position ``index`` of the bit set."""
        values: list[Tensor] = [getattr(self, name) for name in self._names]
        if isinstance(index, Tensor):
            return torch.stack(values).index_select(0, index.reshape(1)).squeeze(0)
        return values[index]

    def of(self, bits: int) -> nn.Parameter:
        """Return the parameter of ``bits``."""
        return self.get_parameter(str(bits))


def inactive(module: nn.Module, bits: int) -> list[nn.Parameter]:
    """Return the per-bit-width parameters inside ``module`` of any width but ``bits``."""
    return [
        parameter
        for owner in module.modules()
        if isinstance(owner, PerBit)
        for name, parameter in owner.named_parameters()
        if name != str(bits)
    ]
