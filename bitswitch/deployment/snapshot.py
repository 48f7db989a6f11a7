"""What a request reads: the integers and scales of one policy, never changed once made."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import NamedTuple

from torch import Tensor

from bitswitch.types import Policy


class InputGrid(NamedTuple):
    """The grid of an input at one bit-width: code q stands for ``q * scale + zero_point``."""

    scale: Tensor
    """float32 []."""
    zero_point: Tensor | None
    """Real value of code zero, float32 []; None: 0."""
    low: int
    high: int

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of ``x``, as float32: the operations of training, in their order."""
        shifted = x.float() if self.zero_point is None else x.float() - self.zero_point
        return (shifted / self.scale).clamp_(self.low, self.high).round_()


class Operands(NamedTuple):
    """One quantized layer at one policy: weight code q stands for ``q * scale + zero_point``."""

    bits: tuple[int, int]
    """(weight, input); 32 where the input stays float."""
    codes: Tensor
    """int8 [out, in / groups, ...]."""
    weight_scale: Tensor
    """float32 [1 or out]."""
    weight_zero_point: Tensor | None
    """float32 [1 or out]; None: 0."""
    grid: InputGrid | None
    """None: the input stays float."""

    def weight(self) -> Tensor:
        """Return what the codes are worth, float32: the weight that training used."""
        shape = (-1, *[1] * (self.codes.dim() - 1))
        values = self.codes.float() * self.weight_scale.view(shape)
        zero_point = self.weight_zero_point
        return values if zero_point is None else values + zero_point.view(shape)


class Snapshot(NamedTuple):
    """A network at one policy."""

    policy: int | Policy
    layers: Mapping[str, Operands]
    """By name, read only."""
    norms: Mapping[str, tuple[Tensor, Tensor]]
    """Multiplier and shift [channels] by name, read only."""


Observer = Callable[[str, Tensor, Tensor], None]
"""Called with the name of a layer, its input codes and its accumulators, both float64."""


class Request(NamedTuple):
    """What the layers of a network read while it serves one call."""

    snapshot: Snapshot
    observe: Observer | None = None


REQUEST: ContextVar[Request] = ContextVar("request")
"""Of the call in progress; every thread and every task has its own."""
