"""Training recipes: how one network is trained."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bitswitch.types import BitSet, Distinct, Strict

MOST = 1_000_000
"""Epochs, and examples of a batch."""


BETAS = (0.9, 0.999)
"""Of Adam, unless a recipe says otherwise."""

Beta = Annotated[float, Field(ge=0, lt=1)]

AlrsVariant = Literal["factor-only", "relative", "clamped", "literal"]

ScaleStep = Literal["clipped", "normalized", "lars", "lamb", "relative"]


def _not_off(value: Any) -> Any:
    """Say how a training without ALRS is written."""
    if value == "off":
        raise ValueError("leave alrs out, or write alrs: null where a recipe brings it")
    return value


class AlrsSpec(Strict):
    """Adaptive learning-rate scaling of the quantization scales (huang2025nearly, Eq. 6-7).

    An option of any method whose scales are learned.
    """

    variant: Annotated[AlrsVariant, BeforeValidator(_not_off)] = "relative"
    """How Eq. 6 is read; ``relative`` is the only one that keeps its gradient term and cannot
    turn negative."""
    factors: dict[int, PositiveFloat] | Literal["tenths"] | None = None
    """eta per bit-width; ``tenths``: 0.1^k for the k-th below the widest, as in the public code;
    None: Eq. 7."""
    target: Literal["scales", "scales+norms+biases", "scales+weights"] = "scales"
    """Which parameters get the scaled learning rate. ``scales+norms+biases``: all that have no
    weight decay, as in the public code; ``scales+weights``: all."""


class TrainingSpec(Strict):
    """How one network is trained: a recipe of no method in particular."""

    epochs: Annotated[int, Field(gt=0, le=MOST)]
    """How often all training examples are seen."""
    batch_size: Annotated[int, Field(gt=0, le=MOST)]
    """Examples of one batch."""
    learning_rate: PositiveFloat
    """Of weights, at the start, after warm-up."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """``adamw`` takes weight decay apart from the gradient."""
    betas: Annotated[tuple[Beta, Beta], Field(exclude_if=lambda betas: betas == BETAS)] = BETAS
    """Of ``adam`` and ``adamw``: how much of the mean gradient and of its mean square is kept."""
    weight_decay: NonNegativeFloat = 0.0
    """Of weights; embeddings, norms, biases and scales have none."""
    momentum: NonNegativeFloat = 0.9
    """Of ``sgd``."""
    nesterov: bool = False
    """Of ``sgd``."""
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    """Cosine falls to ``final_share`` over all steps; ``step`` multiplies by ``decay`` at
    ``milestones``."""
    final_share: Annotated[float, Field(ge=0, lt=1, exclude_if=lambda share: share == 0)] = 0.0
    """What ``cosine`` leaves of the learning rate at the end."""
    milestones: Distinct[Annotated[float, Field(gt=0, lt=1)]] = ()
    """Shares of the epochs."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Of ``step``."""
    warmup_epochs: NonNegativeFloat = 0.0
    """The learning rate rises linearly over so many epochs."""
    scale_learning_rate: PositiveFloat | None = None
    """Of quantization scales at the start; None: that of the weights."""
    scale_optimizer: Literal["adam", "adamw", "sgd"] | None = None
    """None: that of the weights."""
    scale_step: Annotated[ScaleStep | None, Field(exclude_if=lambda rule: rule is None)] = None
    """How far a step moves a scale, besides its learning rate. ``clipped``: its gradient has norm 1
    at most; ``normalized``: exactly; ``lars``: the norm of the scale; ``lamb``: the step of the
    optimizer has that norm, times the learning rate; ``relative``: it is multiplied by the scale,
    for Adam moves each by about the learning rate, and scales of large networks lie decades apart.
    None: as the optimizer has it."""
    clip_value: PositiveFloat | None = None
    """Bound on the magnitude of every gradient; None: none."""
    clip_norm: Annotated[PositiveFloat | None, Field(exclude_if=lambda norm: norm is None)] = None
    """Bound on the norm of all gradients of an update together; None: none."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the label that is spread over all classes."""
    update: Literal["conventional", "separate"] = "conventional"
    """One optimizer step per batch, on summed gradients, or one after every bit-width
    (huang2025nearly, Alg. A.1 and A.2)."""
    alrs: AlrsSpec | None = None
    """None: the scales' learning rate is the same at every bit-width."""
    record_scale_gradients: bool = False
    """Record statistics of the gradient of every scale, per epoch; ALRS, which needs them, does."""
    distillation: Literal["none", "neighbour", "ps-kd"] = "none"
    """Soft targets: from the bit-width above, or from the last epoch's widest predictions."""
    distillation_weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the soft target in ``neighbour``."""
    scale_guard: Literal["reflect", "stop"] = "reflect"
    """A scale that a step pushed below zero is mirrored there and counted, or ends the run."""
    recalibration: NonNegativeInt = 0
    """Test once more after batch norm saw so many batches of held-out examples. The tables of
    experiments show it where a variant asks for it; a network's recipe may do so for all runs."""
    snapshots: Distinct[PositiveInt] = ()
    """Epochs after which the model is kept, for sensitivities; the trained one is kept anyway."""
    compile: bool = False
    """Train through one compiled graph; last digits differ from eager."""
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16"], Field(exclude_if=lambda name: name == "float32")
    ] = "float32"
    """Of products in training. ``tf32``: a GPU that can do so rounds operands to 10 bits; elsewhere
    they are those of ``float32``. ``bfloat16``: products of matrices take operands of 16 bits.
    Weights, scales, gradients and the codes stay in float32, and so does every evaluation."""
    accumulate: Annotated[PositiveInt, Field(exclude_if=lambda parts: parts == 1)] = 1
    """Equal parts in which a batch goes through the network; their gradients add up, which takes
    the memory of one part. Batch norms see a part at a time."""
    batch_norm: Annotated[
        Literal["local", "sync"], Field(exclude_if=lambda name: name == "local")
    ] = "local"
    """What batch norms see in training where several processes share a batch: each its own share,
    or ``sync``: all of it, so that the number of processes changes nothing."""
    checkpoint_activations: Annotated[bool, Field(exclude_if=lambda on: not on)] = False
    """Keep only what the network's blocks read, and compute the rest again for the gradient."""

    @model_validator(mode="after")
    def _schedule_is_whole(self) -> Self:
        if bool(self.milestones) != (self.schedule == "step"):
            raise ValueError(
                "training.milestones belong to training.schedule 'step', and only to it"
            )
        if self.final_share and self.schedule != "cosine":
            raise ValueError("training.final_share belongs to training.schedule 'cosine'")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"training.accumulate {self.accumulate} must divide training.batch_size "
                f"{self.batch_size}: all parts have as many examples"
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

    @model_validator(mode="after")
    def _steps_fit_optimizers(self) -> Self:
        optimizer, rule = self.scale_optimizer or self.optimizer, self.scale_step
        if rule in ("normalized", "lars") and optimizer != "sgd":
            raise ValueError(
                f"training.scale_step '{rule}' sets the norm of a gradient, which {optimizer} "
                f"divides out. Set training.scale_optimizer to 'sgd', or scale_step to 'lamb'"
            )
        if rule == "lamb" and optimizer == "sgd":
            raise ValueError(
                "training.scale_step 'lamb' is for steps of Adam. Set training.scale_optimizer to "
                "'adam', or scale_step to 'lars'"
            )
        return self

    @model_validator(mode="after")
    def _updates_fit_alrs(self) -> Self:
        if self.alrs is not None and self.update == "conventional":
            raise ValueError(
                "training.alrs needs an update per bit-width: conventional training takes one "
                "step for all. Set training.update to 'separate', or training.alrs to null"
            )
        return self

    def check_factors(self, bitset: BitSet, key: str) -> None:
        """Refuse factors of ALRS that leave out a bit-width of ``bitset``.

        Raises:
            ValueError: they do; names ``key``, where this recipe stands.
        """
        factors = self.alrs.factors if self.alrs else None
        missing = [bits for bits in bitset if isinstance(factors, dict) and bits not in factors]
        if missing:
            raise ValueError(f"{key}.alrs.factors: no factor for bit-width {missing[0]}")
