"""What a training step is made of, as methods see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bitswitch.types import Policy

if TYPE_CHECKING:
    from bitswitch.contracts import Batch
    from bitswitch.nn.model import QuantizedModel


class Moment(NamedTuple):
    """When a training step takes place, and where its random numbers come from."""

    epoch: int
    """0-based."""
    epochs: int
    """Of the whole run."""
    step: int
    """0-based, since the start of the run."""
    steps: int
    """Of the whole run."""
    generator: torch.Generator
    """On the CPU, seeded by the run's seed and the step; all that is random comes from it."""

    @property
    def progress(self) -> float:
        """Share of the run that is over, 0 to 1."""
        return self.step / self.steps


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass of a training step."""

    bits: int | None
    """Bit-width that records count it under, ``FLOAT_BITS`` included; None: it mixes several."""
    policy: Policy | None = None
    """Bit-widths of the layers; None: ``bits`` everywhere."""
    teacher: int | None = None
    """Position of an earlier pass of the same step whose detached logits are the soft target."""
    soft: float = 1.0
    """Share of the teacher in the default loss; the rest goes to the labels."""
    update: bool = False
    """Step the optimizers right after this pass (A.2) instead of at the end (A.1)."""
    setup: "Callable[[QuantizedModel], None] | None" = None
    """Called when the model has switched, before the forward pass."""

    def widths(self) -> list[int]:
        """Return all bit-widths that occur, one per operand and layer where they may differ."""
        if self.policy is None:
            return [] if self.bits is None else [self.bits]
        values = self.policy.values()
        return [bits for one in values for bits in (one if isinstance(one, tuple) else (one, one))]

    def __str__(self) -> str:
        return "mixed bits" if self.bits is None else f"{self.bits} bit"


class Wish(NamedTuple):
    """Numbers that a method wants to know on the host."""

    values: Tensor
    """[n]."""
    receive: Callable[[list[float]], None]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one pass learns from."""

    part: Pass
    logits: Tensor
    """[n, classes]."""
    targets: Tensor
    """Class indices [n], or soft targets [n, classes]."""
    batch: "Batch"
    earlier: Sequence[Tensor]
    """Detached logits [n, classes] of the step's earlier passes, by position."""
    model: "QuantizedModel"
    moment: Moment
    wishes: list[Wish] = field(default_factory=list)
    """Numbers that the method needs on the host; see ``wish``."""

    def wish(self, values: Tensor, receive: Callable[[list[float]], None]) -> None:
        """Let ``values`` [n] leave the device together with the loss of this pass.

        Asking the device for them would make the training wait once more.

        Args:
            values: Floating-point.
            receive: Called with them at the end of the pass.
        """
        self.wishes.append(Wish(values, receive))
