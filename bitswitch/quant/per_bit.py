"""What belongs to one bit-width: picked outside a compiled graph, so that the graph knows none."""

from collections.abc import Callable, Sequence
from typing import Any, Self

from torch import Tensor, nn

from bitswitch.quant.scale import Scale, ScaleHolder
from bitswitch.types import FLOAT_BITS, BitSet

Key = int | str
"""What tells copies apart: the bit-width that one is for, or its name."""


class Switchable(nn.Module):
    """A module that uses one bit-width at a time.

    ``switch`` puts the tensors of that bit-width where ``forward`` reads them. To a compiled graph
    they are inputs like any other: it serves every bit-width, and gradients and statistics go
    straight to the tensors that were picked.
    """

    bitset: BitSet
    """Bit-widths, widest first."""
    bits: int
    """The bit-width in use, where nothing else tells copies apart."""

    def switch(self, bits: int) -> None:
        """Use ``bits`` from now on."""
        raise NotImplementedError

    def follow(self, layer: tuple[int, int], before: tuple[int, int]) -> None:
        """Switch as a normalisation does; default: to the narrower operand of ``layer``.

        Where that is full precision, the widest bit-width is used.

        Args:
            layer: (weight, activation) bit-widths of the quantized layer that this module comes
                after; see ``QuantizedModel.followed``.
            before: Those of the quantized layer before that one.
        """
        bits = min(layer)
        self.switch(self.bitset[0] if bits == FLOAT_BITS else bits)

    def pick(self) -> None:
        """Put what is in use where ``forward`` reads it; tensors may have been replaced."""
        self.switch(self.bits)

    def inactive_parameters(self) -> list[nn.Parameter]:
        """Return parameters of bit-widths that are not in use."""
        return inactive(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast as every module does, then pick again."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.pick()
        return self

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        """Load as every module does, then pick again."""
        super()._load_from_state_dict(*args, **options)
        self.pick()


class PerBit(Switchable, ScaleHolder):
    """Independent parameters, one per bit-width, named by it: ``scale.8``, ``scale.6``.

    Those that a pass does not use get no gradient.

    Args:
        keys: Bit-widths, widest first, or other names of copies; the first is in use at first.
        value: Initial value of all of them, which are scales if it is a ``Scale``.
    """

    key: Key
    """Of the parameter in use."""
    _active: tuple[Tensor]

    def __init__(self, keys: Sequence[Key], value: Tensor) -> None:
        super().__init__()
        self.keys = tuple(keys)
        kind = Scale if isinstance(value, Scale) else nn.Parameter
        for key in self.keys:
            self.register_parameter(str(key), kind(value.detach().clone()))
        self.use(self.keys[0])

    def switch(self, bits: int) -> None:
        self.use(bits)

    def use(self, key: Key) -> None:
        """Use the parameter of ``key`` from now on."""
        put(self, key=key)
        self.pick()

    def pick(self) -> None:
        put(self, _active=(self.of(self.key),))  # a tuple, so not registered

    @property
    def active(self) -> Tensor:
        """The value of the bit-width in use."""
        return self._active[0]

    def at(self, index: int | Tensor) -> Tensor:
        """Return the value at position ``index`` of the bit set.

        Inside a compiled graph ``index`` is a tensor, and stands for the bit-width in use.
        """
        return self.active if isinstance(index, Tensor) else self.of(self.keys[index])

    def of(self, key: Key) -> nn.Parameter:
        """Return the parameter of ``key``."""
        parameter = self._parameters[str(key)]
        assert isinstance(parameter, nn.Parameter)
        return parameter


def put(module: nn.Module, **values: Any) -> None:
    """Set attributes of ``module`` that are no parameters, buffers or modules.

    An assignment asks each time whether they are, which is most of what a switch takes.
    """
    vars(module).update(values)


def read_offsets(state: dict[str, Any], prefix: str) -> None:
    """Give the zero points in ``state`` their name: state dicts once called them offsets.

    Args:
        state: Is changed.
        prefix: Of the quantizer whose zero points they are.
    """
    for name in [name for name in state if name.startswith(f"{prefix}offset")]:
        state[name.replace(f"{prefix}offset", f"{prefix}zero_point", 1)] = state.pop(name)


def switch(module: nn.Module, bits: int) -> None:
    """Use ``bits`` in every ``PerBit`` inside ``module``."""
    for part in _per_bits(module):
        part.switch(bits)


def inactive(module: nn.Module) -> list[nn.Parameter]:
    """Return the per-bit-width parameters inside ``module`` that are not in use."""
    return [
        parameter
        for part in _per_bits(module)
        for name, parameter in part.named_parameters()
        if name != str(part.key)
    ]


def _per_bits(module: nn.Module) -> list[PerBit]:
    return [part for part in module.modules() if isinstance(part, PerBit)]
