"""Run specs: everything that decides the numbers of one run, validated before any job starts.

A run's identity is the content of its spec.
"""

from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_validator,
)

from bitswitch.runtime.cache import digest
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, BitSet, Strict, format_bitset

BitWidth = Annotated[int, Field(ge=MIN_BITS, le=FLOAT_BITS)]


Keep = tuple[Annotated[str, Field(min_length=1)], ...]
"""Names of layers, or patterns such as ``blocks.*.attn.qkv``."""

FLOAT_INPUTS: dict[Any, tuple[str, ...]] = {"all": ("*",), "none": ()}
"""Words that a suite may write instead of names."""


def _inputs(value: Any) -> Any:
    """Return the names that a word stands for."""
    if isinstance(value, str) and value not in FLOAT_INPUTS:
        raise ValueError(f"write a list of layers, or {' or '.join(FLOAT_INPUTS)}")
    return FLOAT_INPUTS[value] if isinstance(value, str) else value


FloatInputs = Annotated[Keep | None, BeforeValidator(_inputs)]
"""Layers whose weights are quantized, but whose inputs are not: names, patterns, ``all`` for a run
on weights alone, ``none``; None: those that the model names."""


class Choice(Strict):
    """A plugin by name, with options; written ``name`` or ``{name: ..., options: {...}}``."""

    name: str
    """Of an entry point; ``bitswitch plugins list`` has all of them."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What is other than the plugin's defaults."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @cached_property
    def identifier(self) -> str:
        """The name, followed by eight hex digits of the options when there are any."""
        return f"{self.name}-{digest(self.options)[:8]}" if self.options else self.name


class RunSpec(Strict):
    """Everything that decides the numbers of one run, and nothing else."""

    method: Choice
    model: Choice
    dataset: Choice
    bitset: tuple[BitWidth, ...]
    training: TrainingSpec
    seed: NonNegativeInt
    start: "RunSpec | None" = None
    """The run whose network this one starts from, at full precision or at several bit-widths."""
    sensitivity: "SensitivitySpec | None" = None
    """What guides the method, where it wants to know how sensitive layers are."""
    keep: Keep = Field(default=(), exclude_if=lambda keep: not keep)
    """Layers that stay at full precision besides the first and the last."""
    float_inputs: FloatInputs = Field(default=None, exclude_if=lambda names: names is None)

    @field_validator("bitset")
    @classmethod
    def _widest_first(cls, bitset: BitSet) -> BitSet:
        if not bitset or list(bitset) != sorted(set(bitset), reverse=True):
            raise ValueError(f"bitset {list(bitset)} must be distinct bit-widths, widest first")
        if bitset != (FLOAT_BITS,) and max(bitset) > MAX_BITS:
            raise ValueError(
                f"bitset {list(bitset)}: integer bit-widths are {MIN_BITS} to {MAX_BITS}; "
                f"full precision is [{FLOAT_BITS}] alone"
            )
        return bitset

    @model_validator(mode="after")
    def _method_fits_bitset(self) -> Self:
        if self.is_float != (self.method.name == "float32"):
            raise ValueError(
                f"bitset {list(self.bitset)} does not fit method '{self.method.name}': "
                f"'float32' takes [{FLOAT_BITS}], every other method integer bit-widths"
            )
        return self

    @model_validator(mode="after")
    def _factors_cover_bitset(self) -> Self:
        self.training.check_factors(self.bitset, "training")
        return self

    @property
    def is_float(self) -> bool:
        """Whether this is a full-precision run."""
        return self.bitset == (FLOAT_BITS,)

    @cached_property
    def run_id(self) -> str:
        """Readable prefix, then eight hex digits of the content."""
        content = digest(self.model_dump(mode="json", by_alias=True))[:8]
        return f"{self.method.name}-{self.model.name}-{self.dataset.name}-s{self.seed}-{content}"

    @property
    def ancestors(self) -> "tuple[RunSpec, ...]":
        """The runs that must be there before this one, first to last."""
        start = (*self.start.ancestors, self.start) if self.start else ()
        return (*start, *self.sensitivity.runs) if self.sensitivity else start


class SensitivitySpec(Strict):
    """Everything that decides how sensitive the layers of one network are found to be."""

    sensitivity: Choice
    run: RunSpec
    """Whose network is scored."""
    epoch: NonNegativeInt | None = None
    """After which epoch of the run, one of its snapshots; 0: before its first step, the network
    that it starts from with quantizers that are calibrated; None: the trained network."""
    bitset: tuple[BitWidth, ...]
    """Bit-widths to score, widest first."""
    examples: PositiveInt = Field(1024, serialization_alias="images")  # as identities know it
    """Training examples that are seen."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _network_fits(self) -> Self:
        if self.epoch and self.epoch not in self.run.training.snapshots:
            raise ValueError(
                f"epoch {self.epoch} is none of the run's training.snapshots "
                f"{list(self.run.training.snapshots)}"
            )
        unknown = [bits for bits in self.bitset if bits not in self.run.bitset]
        if unknown:
            raise ValueError(
                f"bit-width {unknown[0]} is none of the run's {format_bitset(self.run.bitset)}"
            )
        return self

    @cached_property
    def identifier(self) -> str:
        """Readable prefix, then eight hex digits of the content."""
        content = digest(self.model_dump(mode="json", by_alias=True))[:8]
        return f"{self.sensitivity.name}-{self.run.model.name}-s{self.seed}-{content}"

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """The runs that must be there before it, first to last."""
        return self.run.ancestors if self.epoch == 0 else (*self.run.ancestors, self.run)


def title_of(bitset: BitSet) -> str:
    """Return how tables print a bit set; full precision is ``FP``."""
    return "FP" if bitset == (FLOAT_BITS,) else format_bitset(bitset)
