"""What a file says about its network, and which tensors belong to it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from bitswitch.deployment.narrowing import RoundingRule
from bitswitch.deployment.signature import IMAGES, LOGITS, Signature
from bitswitch.nn.norms.pairs import pair, pairs
from bitswitch.nn.norms.transitional import transition, transitions
from bitswitch.nn.order import Followed
from bitswitch.quant.per_bit import Key
from bitswitch.spec.run import Choice
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, BitSet, Strict

CodeBits = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]
Widths = Annotated[tuple[CodeBits, ...], Field(min_length=1)]
Operands = tuple[int, int]
"""(weight, input) bit-widths of one layer."""


class LayerFacts(Strict):
    """One quantized layer."""

    name: str
    widths: Widths
    """Bit-widths of its quantizers, widest first; codes are stored at the first."""
    pinned: Operands | None
    """Bit-widths that no policy changes, 32 where the input stays float; None: switchable."""
    rounding: RoundingRule
    """How narrow codes follow from the stored ones."""
    signed: bool | None
    """Whether codes of the input have a sign; None: the input stays float, at every bit-width."""
    input_granularity: Literal["per-tensor", "per-token"] = "per-tensor"
    """``per-token``: max|x| / (2^(b-1) - 1) of every row of the input [..., in], in float32."""

    def bits(self, policy: Mapping[str, Operands]) -> Operands:
        """Return (weight, input) bit-widths at ``policy``, 32 where the input stays float."""
        if self.pinned is not None:
            return self.pinned
        weight, inputs = policy[self.name]
        return weight, FLOAT_BITS if self.signed is None else inputs

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out ``input_granularity`` where it says nothing: older programs do not know it."""
        found: dict[str, Any] = serialize(self)
        if self.input_granularity == "per-tensor":
            del found["input_granularity"]
        return found

    @model_validator(mode="after")
    def _widths_fit(self) -> Self:
        if list(self.widths) != sorted(set(self.widths), reverse=True):
            raise ValueError("widths must be distinct, widest first")
        if self.pinned is None:
            inputs = self.widths
        else:
            inputs = (self.pinned[1],)
            if self.pinned[0] not in self.widths or inputs[0] not in (*self.widths, FLOAT_BITS):
                raise ValueError(f"pinned to {list(self.pinned)} bits, which are no widths of it")
        if (self.rounding == "none") != (len(self.widths) == 1):
            raise ValueError(f"rounding '{self.rounding}' does not fit {len(self.widths)} widths")
        quantized = FLOAT_BITS not in inputs
        if self.pinned is not None and (self.signed is None) == quantized:
            raise ValueError("signed must be given exactly where the input is quantized")
        if self.input_granularity == "per-token" and not self.signed:
            raise ValueError("codes of an input with a scale per token have a sign")
        return self


class NormKind(NamedTuple):
    """How a batch norm finds its copy."""

    keys: Callable[[BitSet], tuple[Key, ...]]
    """Names of all copies, first to last, from the bit set."""
    key: Callable[[Operands, Operands], Key]
    """The name at (bit-widths of the quantized layer before, of the one before that)."""


NORM_KINDS: dict[str, NormKind] = {
    "shared": NormKind(lambda bitset: ("shared",), lambda here, before: "shared"),
    "bits": NormKind(lambda bitset: bitset, lambda here, before: min(here)),
    "transition": NormKind(transitions, lambda here, before: transition(min(before), min(here))),
    "pair": NormKind(pairs, lambda here, before: pair(*here)),
}


class NormFacts(Strict):
    """One batch norm, folded to a multiplier and a shift per channel for each of its copies."""

    name: str
    kind: Literal["shared", "bits", "transition", "pair"]
    """Which copy is used: always the same; by the narrower operand of the quantized layer before;
    by that of the two layers before; by both operands of the layer before."""
    follows: Followed | None = None
    """The layer before and the one before that; None: the last two that are registered before it
    and switchable."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out ``follows`` where it says nothing: older programs do not know it."""
        found: dict[str, Any] = serialize(self)
        return {name: value for name, value in found.items() if name != "follows" or value}


class Description(Strict):
    """Everything but the tensors."""

    run: str
    """Identifier of the run."""
    method: Choice
    model: Choice
    """Without pretrained weights."""
    dataset: Choice
    """How images are normalised."""
    classes: PositiveInt
    """Outputs of the network; of a decoder its vocabulary."""
    input: Signature
    output: Signature
    bitset: Widths
    layers: tuple[LayerFacts, ...]
    """Quantized ones, in registration order."""
    norms: tuple[NormFacts, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_images(cls, content: Any) -> Any:
        """Read what says nothing but the shape of an image: the network classifies images."""
        if not isinstance(content, dict) or "image" not in content:
            return content
        image, rest = content["image"], {k: v for k, v in content.items() if k != "image"}
        images = {"name": IMAGES, "dtype": "float32", "shape": image}
        logits = {"name": LOGITS, "dtype": "float32", "shape": [content.get("classes")]}
        return {"input": images, "output": logits, **rest}

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write the shape of an image alone where that says all: older programs read it."""
        found: dict[str, Any] = serialize(self)
        if (self.input.name, self.output.shape) != (IMAGES, (self.classes,)):
            return found
        image = found["input"]["shape"]
        return {k: v for k, v in found.items() if k not in ("input", "output")} | {"image": image}

    @model_validator(mode="after")
    def _layers_fit(self) -> Self:
        if list(self.bitset) != sorted(set(self.bitset), reverse=True):
            raise ValueError("bitset must be distinct bit-widths, widest first")
        names = [*(layer.name for layer in self.layers), *(norm.name for norm in self.norms)]
        if len(set(names)) != len(names):
            raise ValueError("two layers or batch norms have one name")
        for layer in self.layers:
            if layer.pinned is None and layer.widths != self.bitset:
                raise ValueError(f"layer '{layer.name}' has other widths than the network")
        switchable = {None, *(layer.name for layer in self.layers if layer.pinned is None)}
        for norm in self.norms:
            if norm.follows is not None and not switchable >= set(norm.follows):
                raise ValueError(f"batch norm '{norm.name}' follows what is no switchable layer")
        return self


CODES, SCALE, ZERO_POINT = "weight.codes", "weight.scale", "weight.offset"
"""Of a quantized layer, after its name: int8, or packed in uint8 [bytes] below 8 bits; float32
[1 or widths, 1 or out] or, per group, [1 or widths, out, groups], one row where narrow scales are
powers of two apart; of the same shape zero points, where one is not 0: files call them offsets."""
INPUT_SCALE, INPUT_ZERO_POINT = "input.scale", "input.offset"
"""float32 [widths], none where every token has its own; the latter where it is not 0."""
MULTIPLIER, SHIFT = "multiplier", "shift"
"""Of a batch norm, float32 [copies, channels]."""
