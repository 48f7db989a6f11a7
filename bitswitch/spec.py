"""Run specs: everything that decides the numbers of one run, validated before any job starts.

A run's identity is the content of its spec.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from bitswitch import plugins
from bitswitch.reading import explained, read_yaml
from bitswitch.store import digest
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, BitSet, Distinct, Strict, format_bitset

MOST = 1_000_000
"""Epochs, and images of a batch."""

BitWidth = Annotated[int, Field(ge=MIN_BITS, le=FLOAT_BITS)]


Keep = tuple[Annotated[str, Field(min_length=1)], ...]
"""Names of layers, or patterns such as ``blocks.*.attn.qkv``."""


class Choice(Strict):
    """A plugin by name, with options; written ``name`` or ``{name: ..., options: {...}}``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def resolved(self, group: str) -> "Choice":
        """Return the same choice with every option of the plugin spelled out."""
        return Choice(name=self.name, options=plugins.resolve(group, self.name, self.options))

    @property
    def identifier(self) -> str:
        """The name, followed by eight hex digits of the options when there are any."""
        return f"{self.name}-{digest(self.options)[:8]}" if self.options else self.name


class AlrsSpec(Strict):
    """Adaptive learning-rate scaling of the quantization scales (huang2025nearly, Eq. 6-7)."""

    reading: Literal["off", "factor-only", "relative", "clamped", "literal"] = "relative"
    """How Eq. 6 is read; ``relative`` is the only one that keeps its gradient term and cannot
    turn negative."""
    factors: dict[int, PositiveFloat] | Literal["tenths"] | None = None
    """eta per bit-width; ``tenths``: 0.1^k for the k-th below the widest, as in the public code;
    None: Eq. 7."""
    target: Literal["scales", "scales+norms+biases", "scales+weights"] = "scales"
    """Which parameters get the scaled learning rate. ``scales+norms+biases``: all that have no
    weight decay, as in the public code; ``scales+weights``: all."""


class TrainingSpec(Strict):
    """How one network is trained."""

    epochs: Annotated[int, Field(gt=0, le=MOST)]
    batch_size: Annotated[int, Field(gt=0, le=MOST)]
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 5e-4
    """lambda at the start; huang2025nearly, section 4."""
    weight_decay: NonNegativeFloat = 5e-5
    """Of weights; scales have none."""
    momentum: NonNegativeFloat = 0.9
    """Of ``sgd``."""
    nesterov: bool = False
    """Of ``sgd``."""
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    """Cosine falls to zero over all steps; ``step`` multiplies by ``decay`` at ``milestones``."""
    milestones: Distinct[Annotated[float, Field(gt=0, lt=1)]] = ()
    """Shares of the epochs."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: NonNegativeFloat = 0.0
    """The learning rate rises linearly over so many epochs."""
    scale_learning_rate: PositiveFloat | None = None
    """Of quantization scales at the start; None: that of the weights."""
    scale_optimizer: Literal["adam", "sgd"] | None = None
    """None: that of the weights."""
    clip_value: PositiveFloat | None = None
    """Bound on the magnitude of every gradient; None: none."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the label that is spread over all classes."""
    update: Literal["conventional", "separate"] = "separate"
    """One optimizer step per batch (Alg. A.1) or one after every bit-width (Alg. A.2)."""
    alrs: AlrsSpec = AlrsSpec()
    distillation: Literal["none", "neighbour", "ps-kd"] = "none"
    """Soft targets: from the bit-width above, or from the last epoch's widest predictions."""
    distillation_weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the soft target in ``neighbour``."""
    scale_guard: Literal["reflect", "stop"] = "reflect"
    """A scale that a step pushed below zero is mirrored there and counted, or ends the run."""
    recalibration: NonNegativeInt = 0
    """Test once more after batch norm saw so many batches of held-out images."""
    snapshots: Distinct[PositiveInt] = ()
    """Epochs after which the model is kept, for sensitivities; the trained one is kept anyway."""
    compile: bool = False
    """Train through one compiled graph; last digits differ from eager."""

    @model_validator(mode="after")
    def _schedule_is_whole(self) -> Self:
        if bool(self.milestones) != (self.schedule == "step"):
            raise ValueError(
                "training.milestones belong to training.schedule 'step', and only to it"
            )
        if max(self.snapshots, default=0) >= self.epochs:
            raise ValueError(
                f"training.snapshots {max(self.snapshots)} must be less than training.epochs "
                f"{self.epochs}: the trained model is kept anyway"
            )
        if self.warmup_epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"training.warmup_epochs {self.warmup_epochs:g} must be less than "
                f"training.epochs {self.epochs}"
            )
        return self


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
    def _factors_cover_bitset(self) -> Self:
        factors = self.training.alrs.factors
        missing = [b for b in self.bitset if isinstance(factors, dict) and b not in factors]
        if missing and not self.is_float:
            raise ValueError(f"training.alrs.factors: no factor for bit-width {missing[0]}")
        if self.is_float != (self.method.name == "float32"):
            raise ValueError(
                f"bitset {list(self.bitset)} does not fit method '{self.method.name}': "
                f"'float32' takes [{FLOAT_BITS}], every other method integer bit-widths"
            )
        return self

    @model_validator(mode="after")
    def _updates_fit_alrs(self) -> Self:
        training = self.training
        summed = training.update == "conventional" and training.alrs.reading != "off"
        if summed and not self.is_float:
            raise ValueError(
                f"training.alrs.reading '{training.alrs.reading}' needs an update per bit-width: "
                f"conventional training takes one step for all. Set training.alrs.reading to "
                f"'off', or training.update to 'separate'"
            )
        return self

    @property
    def is_float(self) -> bool:
        """Whether this is a full-precision run."""
        return self.bitset == (FLOAT_BITS,)

    @cached_property
    def run_id(self) -> str:
        """Readable prefix, then eight hex digits of the content."""
        content = digest(self.model_dump(mode="json"))[:8]
        return f"{self.method.name}-{self.model.name}-{self.dataset.name}-s{self.seed}-{content}"

    def resolved(self) -> "RunSpec":
        """Return the same run with every plugin option spelled out (checks them all)."""
        return self.model_copy(
            update={
                "method": self.method.resolved("methods"),
                "model": self.model.resolved("models"),
                "dataset": self.dataset.resolved("datasets"),
                "start": self.start.resolved() if self.start else None,
                "sensitivity": self.sensitivity.resolved() if self.sensitivity else None,
            }
        )

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
    images: PositiveInt = 1024
    """Training images that are seen."""
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
        content = digest(self.model_dump(mode="json"))[:8]
        return f"{self.sensitivity.name}-{self.run.model.name}-s{self.seed}-{content}"

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """The runs that must be there before it, first to last."""
        return self.run.ancestors if self.epoch == 0 else (*self.run.ancestors, self.run)

    def resolved(self) -> "SensitivitySpec":
        """Return the same with every plugin option spelled out (checks them all)."""
        return self.model_copy(
            update={
                "sensitivity": self.sensitivity.resolved("sensitivities"),
                "run": self.run.resolved(),
            }
        )


def read_run(path: Path) -> RunSpec:
    """Return the run spec in a YAML file, resolved."""
    with explained(str(path)):
        return RunSpec.model_validate(read_yaml(path)).resolved()


def title_of(bitset: BitSet) -> str:
    """Return how tables print a bit set; full precision is ``FP``."""
    return "FP" if bitset == (FLOAT_BITS,) else format_bitset(bitset)
