"""The way of HAQ's agent through a network: what it sees, what it does, what the budget leaves."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from bitswitch.costs import LayerShape
from bitswitch.searches.space import Space, Vector

FlagName = Literal["present", "previous"]
"""What the last feature says where weights and inputs have bit-widths of their own: 1 where the
agent now chooses that of weights; ``previous``: 1 after it chose that of weights, and at first."""
PreviousName = Literal["relative", "bits"]
"""How a state tells the bit-width chosen before: relative to the widest, or in bits."""
FIRST_PREVIOUS = {"relative": 1.0, "bits": 4.0}
"""Its value before anything was chosen, in the public code."""


def features(shapes: Sequence[LayerShape]) -> Tensor:
    """Return what does not change about layers, float32 [layers, 8].

    Depthwise or not, input and output channels, stride, kernel, weights, pixels of the input,
    position. Linear layers have stride 0. Every feature is scaled to [0, 1] over the layers, unless
    all have the same.

    Source: wang2019haq, section 3.1.
    """
    table = torch.tensor([_raw(position, shape) for position, shape in enumerate(shapes)])
    low, high = table.amin(0), table.amax(0)
    spread = high - low
    return torch.where(spread > 0, (table - low) / spread.where(spread > 0, 1), table).float()


def _raw(position: int, shape: LayerShape) -> list[float]:
    row = (
        shape.is_depthwise,
        shape.in_channels,
        shape.out_channels,
        0 if shape.kind == "linear" else shape.stride,
        shape.kernel,
        shape.weights,
        shape.inputs // shape.in_channels,
        position,
    )
    return [float(value) for value in row]


class Walk:
    """Steps through all layers: one per layer, or one for its weights and one for its inputs.

    Args:
        shapes: The switchable layers, first to last.
        space: Their policies.
        previous: How states tell the choice before.
        flag: What the last feature says.
    """

    def __init__(
        self,
        shapes: Sequence[LayerShape],
        space: Space,
        previous: PreviousName = "relative",
        flag: FlagName = "present",
    ) -> None:
        self.space = space
        self.bits = sorted(space.bitset)
        self.flag = flag
        self.features = features(shapes)
        self._first = FIRST_PREVIOUS[previous]
        self._unit = 1 if previous == "bits" else self.bits[-1]
        self.leaked: int | None = None
        """Bit-width that the first state tells; None: the initial value."""

    @property
    def steps(self) -> int:
        """Choices of one episode."""
        return len(self.features) * self.space.operands

    @property
    def width(self) -> int:
        """Features of a state: 9, or 10 where weights and inputs are told apart."""
        return self.features.shape[1] + self.space.operands

    def chosen(self, action: float) -> int:
        """Return the bit-width of an action in [0, 1]; all bit-widths have equal shares of it.

        Source: wang2019haq, Eq. 3.
        """
        return self.bits[min(int(action * len(self.bits)), len(self.bits) - 1)]

    def action(self, bits: int) -> float:
        """Return the action in the middle of those of a bit-width."""
        return (self.bits.index(bits) + 0.5) / len(self.bits)

    def state(self, step: int, before: Sequence[int]) -> Tensor:
        """Return what the agent sees at ``step``, float32 [width].

        Args:
            step: 0-based.
            before: Bit-widths chosen so far, at least ``step`` of them.
        """
        layer, operand = divmod(step, self.space.operands)
        last = before[step - 1] if step else self.leaked
        own = [self._first if last is None else last / self._unit]
        if self.space.operands == 2:
            own.append(float(self._chose_weights(step) if self.flag == "previous" else not operand))
        return torch.cat([self.features[layer], torch.tensor(own)])

    def _chose_weights(self, step: int) -> bool:
        return step == 0 or step % 2 == 1


def clamped(vector: Vector, space: Space) -> Vector:
    """Return ``vector`` lowered one entry at a time, last to first, again and again, until it fits.

    Where even the narrowest bit-widths do not fit, the policy of least cost is returned.

    Source: wang2019haq, section 3.2, and its public code.
    """
    left = list(vector)
    while not space.fits(tuple(left)):
        if set(left) == {space.bitset[-1]}:
            return space.cheapest
        for entry in reversed(range(len(left))):
            position = space.bitset.index(left[entry])
            left[entry] = space.bitset[min(position + 1, len(space.bitset) - 1)]
            if space.fits(tuple(left)):
                break
    return tuple(left)
