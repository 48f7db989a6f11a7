"""What a request reads: the integers and scales of one policy, never changed once made."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import NamedTuple

from torch import Tensor

from bitswitch.quant.granularity import PerToken, grouped, ungrouped
from bitswitch.quant.integer import signed_range
from bitswitch.quant.max_abs import MaxAbsQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.types import Policy


class InputGrid(NamedTuple):
    """The grid of an input at one bit-width: code q stands for ``q * scale + zero_point``."""

    scale: Tensor
    """float32 []; of one input, once it is known, [..., 1] where every token has its own."""
    zero_point: Tensor | None
    """Real value of code zero, float32 []; None: 0."""
    low: int
    high: int

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of ``x``, as float32: the operations of training, in their order."""
        shifted = x.float() if self.zero_point is None else x.float() - self.zero_point
        return (shifted / self.scale).clamp_(self.low, self.high).round_()

    def of(self, x: Tensor) -> "InputGrid":
        """Return the grid of the input ``x``: the same for all."""
        return self


class TokenGrid(NamedTuple):
    """A rule for the grid of an input [..., in]: every token has a scale that follows from it."""

    bits: int
    low: int
    high: int
    zero_point: None = None

    @classmethod
    def at(cls, bits: int) -> "TokenGrid":
        """Return the rule at ``bits``."""
        return cls(bits, *signed_range(bits))

    def of(self, x: Tensor) -> InputGrid:
        """Return the grid of ``x`` [..., in], by the operations of training, in their order."""
        scale = MaxAbsQuantizer(PerToken()).scale_of(x.float(), Width.of(self.bits, (self.bits,)))
        return InputGrid(scale, None, self.low, self.high)


class Operands(NamedTuple):
    """One quantized layer at one policy: weight code q stands for ``q * scale + zero_point``."""

    bits: tuple[int, int]
    """(weight, input); 32 where the input stays float."""
    codes: Tensor
    """int8 [out, in / groups, ...]."""
    weight_scale: Tensor
    """float32 [1 or out], per group of inputs [out, groups]."""
    weight_zero_point: Tensor | None
    """Of the shape of the scale; None: 0."""
    grid: InputGrid | TokenGrid | None
    """None: the input stays float."""

    @property
    def code_bits(self) -> int:
        """Bits that hold every code of the weight: one more where a code is beyond the range."""
        bits = self.bits[0]
        return bits + bool(self.codes.max() > signed_range(bits)[1])

    def weight(self) -> Tensor:
        """Return the values of the codes, float32: the weight that training used."""
        ones = [1] * (self.codes.dim() - self.weight_scale.dim())
        codes, scale = grouped(
            self.codes.float(), self.weight_scale.view(*self.weight_scale.shape, *ones)
        )
        values = codes * scale
        if self.weight_zero_point is not None:
            values = values + self.weight_zero_point.view(scale.shape)
        return ungrouped(values, self.codes)

    def groups(self) -> list["Group"]:
        """Return the groups of inputs that have scales of their own, first to last."""
        if self.weight_scale.dim() == 1:
            whole = slice(0, self.codes.shape[1])
            return [Group(whole, self.codes, self.weight_scale, self.weight_zero_point)]
        size = self.codes.shape[1] // self.weight_scale.shape[1]
        return [
            Group(
                slice(group * size, (group + 1) * size),
                self.codes[:, group * size : (group + 1) * size],
                scale,
                None if self.weight_zero_point is None else self.weight_zero_point[:, group],
            )
            for group, scale in enumerate(self.weight_scale.unbind(1))
        ]


class Group(NamedTuple):
    """The weights of a layer whose products are summed before they are scaled."""

    inputs: slice
    """Of axis 1 of the weight."""
    codes: Tensor
    """int8 [out, size, ...]."""
    scale: Tensor
    """float32 [1 or out]."""
    zero_point: Tensor | None
    """float32 [1 or out]; None: 0."""


class Snapshot(NamedTuple):
    """A network at one policy."""

    policy: int | Policy
    layers: Mapping[str, Operands]
    """By name, read only."""
    norms: Mapping[str, tuple[Tensor, Tensor]]
    """Multiplier and shift [channels] by name, read only."""


Observer = Callable[[str, Tensor, Tensor], None]
"""Called with the name of a layer, its input codes and its accumulators, both float64; where inputs
form groups, accumulators have a last axis for them."""


class Request(NamedTuple):
    """What the layers of a network read while it serves one call."""

    snapshot: Snapshot
    observe: Observer | None = None


REQUEST: ContextVar[Request] = ContextVar("request")
"""Of the call in progress; every thread and every task has its own."""
