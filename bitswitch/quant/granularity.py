"""Granularity: which values of a tensor share one scale. A frozen vocabulary of four words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from torch import Tensor

from bitswitch.errors import SpecError, hint

Shape = Sequence[int]


class Granularity:
    """Which values share a scale; ``str()`` gives the word that a suite has for it."""

    word: ClassVar[str]

    def scale_shape(self, shape: Shape) -> tuple[int, ...]:
        """Return the shape of the scales of values of ``shape``, ones where they are shared.

        Raises:
            SpecError: values of that shape cannot be shared out so.
        """
        raise NotImplementedError

    def rows(self, x: Tensor) -> Tensor:
        """Return ``x`` with a row for every scale, [scales, values that share it]."""
        return x.reshape(math.prod(self.scale_shape(x.shape)), -1)

    def reduce(self, x: Tensor, statistic: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Return one number for every scale, in the shape of the scales.

        Args:
            x: Any values that have this granularity.
            statistic: Takes rows and the dimension to reduce, as ``torch.amax`` does.
        """
        return statistic(self.rows(x), 1).reshape(self.scale_shape(x.shape))

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class PerTensor(Granularity):
    """One scale for the whole tensor: [...] -> [].

    >>> PerTensor().scale_shape((8, 4, 3, 3))
    ()
    """

    word: ClassVar[str] = "per-tensor"

    def scale_shape(self, shape: Shape) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True)
class PerChannel(Granularity):
    """One scale for every index of ``axis``: [out, in, ...] -> [out, 1, ...] with axis 0.

    >>> PerChannel().scale_shape((8, 4, 3, 3))
    (8, 1, 1, 1)
    >>> PerChannel(axis=1).scale_shape((8, 4, 3, 3))
    (1, 4, 1, 1)
    """

    axis: int = 0
    word: ClassVar[str] = "per-channel"

    def scale_shape(self, shape: Shape) -> tuple[int, ...]:
        if not 0 <= self.axis < len(shape):
            raise SpecError(f"Values of shape {list(shape)} have no axis {self.axis} for channels.")
        return tuple(size if axis == self.axis else 1 for axis, size in enumerate(shape))

    def rows(self, x: Tensor) -> Tensor:
        return (x.movedim(self.axis, 0) if self.axis else x).reshape(x.shape[self.axis], -1)

    def __str__(self) -> str:
        return f"{self.word}-axis-{self.axis}" if self.axis else self.word


@dataclass(frozen=True)
class PerGroup(Granularity):
    """One scale for ``size`` inputs of an output: [out, in, ...] -> [out, in / size, 1, ...].

    Groups lie side by side along axis 1, that of the input features or channels; all positions of
    a kernel belong to the group of their channel. ``grouped`` makes values and scales broadcast.

    >>> PerGroup(2).scale_shape((8, 4, 3, 3))
    (8, 2, 1, 1)
    """

    size: int
    word: ClassVar[str] = "per-group"

    def scale_shape(self, shape: Shape) -> tuple[int, ...]:
        if len(shape) < 2 or self.size < 1 or shape[1] % self.size:
            raise SpecError(_no_groups(self.size, shape))
        return (shape[0], shape[1] // self.size, *[1] * (len(shape) - 2))

    def __str__(self) -> str:
        return f"{self.word}-{self.size}"


@dataclass(frozen=True)
class PerToken(Granularity):
    """One scale for every row of the last axis: [..., in] -> [..., 1].

    For activations alone, and only computed from them: how many rows there will be is not known
    before they come.

    >>> PerToken().scale_shape((2, 16, 64))
    (2, 16, 1)
    """

    word: ClassVar[str] = "per-token"

    def scale_shape(self, shape: Shape) -> tuple[int, ...]:
        return (*shape[:-1], 1)

    def rows(self, x: Tensor) -> Tensor:
        return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


NO_TOKENS = (
    "the input of a convolution has no tokens; its sums go over positions of an image, which have "
    "to share a scale.\n  Take activations per-tensor, or leave the layer at full precision."
)
"""Why ``PerToken`` is not for it."""

PER_TENSOR = PerTensor()
"""The default of what has a granularity."""


def grouped(x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``x`` and ``scale`` seen so that they broadcast.

    They are what they were, unless ``scale`` has several, but not all, places on axis 1: then
    these stand for groups, and ``x`` [out, in, ...] becomes [out, groups, size, ...].

    Args:
        x: Values.
        scale: Broadcasts to them, or has the shape that ``PerGroup`` says.
    """
    if scale.dim() != x.dim() or x.dim() < 2 or scale.shape[1] in (1, x.shape[1]):
        return x, scale
    return x.reshape(x.shape[0], scale.shape[1], -1, *x.shape[2:]), scale.unsqueeze(2)


def ungrouped(values: Tensor, x: Tensor) -> Tensor:
    """Return ``values``, computed from ``grouped`` x, in the shape of ``x``."""
    return values if values.dim() == x.dim() else values.flatten(1, 2)


def parse_granularity(value: object) -> Granularity:
    """Return the granularity that a suite writes as a word or as a mapping.

    Raises:
        SpecError: there is none of that name, or its number is missing or wrong.

    >>> parse_granularity("per-group-32")
    PerGroup(size=32)
    >>> parse_granularity({"name": "per-channel", "axis": 1})
    PerChannel(axis=1)
    """
    if isinstance(value, Granularity):
        return value
    settings = dict(value) if isinstance(value, dict) else _settings(str(value))
    word = settings.pop("name", None)
    kind = _KINDS.get(str(word))
    if kind is None:
        raise SpecError(
            f"There is no granularity '{word}'.{hint(word, _KINDS)}\n"
            f"  Choices: {', '.join(_WRITTEN.values())}"
        )
    numbers = [isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in settings.values()]
    try:
        if not all(numbers) or settings.get("size") == 0:
            raise TypeError
        return kind(**settings)
    except TypeError:
        raise SpecError(
            f"Granularity '{value}' cannot be read.\n"
            f"  Write {_WRITTEN[kind.word]}{_SIZE if kind is PerGroup else ''}."
        ) from None


@dataclass(frozen=True)
class GranularityOption:
    """Makes a field of pydantic options a granularity; in YAML and JSON it is one word.

    Args:
        operand: What has it, in the plural, for messages.
        kinds: Those that may be chosen.
        reason: Why others may not.
    """

    operand: str
    kinds: tuple[type[Granularity], ...]
    reason: str = field(compare=False)

    def __call__(self, value: object) -> Granularity:
        """Return what ``value`` means.

        Raises:
            ValueError: it means nothing, or what these operands cannot have.
        """
        try:
            chosen = parse_granularity(value)
        except SpecError as error:
            raise ValueError(str(error)) from None
        if type(chosen) in self.kinds and not getattr(chosen, "axis", 0):
            return chosen
        words = ", ".join(_WRITTEN[kind.word] for kind in self.kinds)
        raise ValueError(
            f"'{chosen}' is not for {self.operand}: {self.reason}.\n  Choices: {words}"
        )

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )


WeightGranularity = Annotated[
    Granularity,
    GranularityOption(
        "weights",
        (PerTensor, PerChannel, PerGroup),
        "a sum of integer products can be scaled once for every output and group of inputs",
    ),
]
"""Option of a method: ``per-tensor``, ``per-channel`` (output channels) or ``per-group-SIZE``."""

ActivationGranularity = Annotated[
    Granularity,
    GranularityOption(
        "activations",
        (PerTensor, PerToken),
        "an integer kernel sums over their channels, so that these share one scale",
    ),
]
"""Option of a method: ``per-tensor``, or ``per-token``, computed from every token as it comes."""

_KINDS: dict[str, type[Granularity]] = {
    kind.word: kind for kind in (PerTensor, PerChannel, PerGroup, PerToken)
}
_SIZE = ", where SIZE is a whole number, 1 or more"
_WRITTEN = {word: f"{word}-SIZE" if word == PerGroup.word else word for word in _KINDS}


def _settings(text: str) -> dict[str, Any]:
    """Return the mapping that stands for a word such as ``per-group-32``."""
    word, _, number = text.rpartition("-")
    if word == PerGroup.word and number.isdecimal():
        return {"name": word, "size": int(number)}
    if word == f"{PerChannel.word}-axis" and number.isdecimal():
        return {"name": PerChannel.word, "axis": int(number)}
    return {"name": text}


def _no_groups(size: int, shape: Shape) -> str:
    """Return why values of ``shape`` have no groups of ``size``, and which sizes they may have."""
    inputs = shape[1] if len(shape) > 1 else 1
    fitting = [n for n in range(1, inputs + 1) if inputs % n == 0]
    return (
        f"Weights {list(shape)} cannot be parted into groups of {size}: they have {inputs} inputs "
        f"for every output.\n  Sizes that divide it: {', '.join(map(str, fitting))}. Or take "
        f"per-channel, which has one group of all inputs."
    )
