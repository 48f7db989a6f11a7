"""What the gradients of the quantization scales are like, per layer, operand and bit-width."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime import transfers

OPERANDS = ("weight", "activation")


class ScaleGradients:
    """Gradients of the scales in use at one bit-width, summed up over the steps of an epoch.

    All scales are handled as one vector, so that a pass costs a handful of operations whatever
    the number of layers.

    Args:
        scales: Parameters by (layer, operand); one value each, or one per channel.
        device: Of the model; there may be no scale that tells.
    """

    def __init__(self, scales: dict[tuple[str, str], nn.Parameter], device: torch.device) -> None:
        self.scales = scales
        sizes = tuple(p.numel() for p in scales.values())
        self._sizes, self._owner = _sizes_and_owners(sizes, device)
        self.sums = torch.zeros(4, sum(sizes), dtype=torch.float64, device=device)
        """Sum, sum of magnitudes, sum of squares, largest magnitude, [4, values]."""
        self.steps = 0

    def vector(self) -> Tensor:
        """Return all gradients as they are now, [values]; zero where there is none."""
        if not self.scales:
            return self.sums[0]
        parts = (torch.zeros_like(p) if p.grad is None else p.grad for p in self.scales.values())
        return torch.cat([part.reshape(-1) for part in parts])

    def largest(self, gradient: Tensor) -> Tensor:
        """Return max |gradient| of every scale, [scales], of what came to a ``vector``."""
        if len(self.scales) == len(gradient):
            return gradient.abs()
        zeros = gradient.new_zeros(len(self.scales))
        return zeros.scatter_reduce(0, self._owner, gradient.abs(), "amax")

    def add(self, gradient: Tensor) -> None:
        """Count what one pass added to the ``vector``."""
        value = gradient.double()
        size = value.abs()
        self.sums[:3] += torch.stack([value, size, value.square()])
        torch.maximum(self.sums[3], size, out=self.sums[3])
        self.steps += 1

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return mean |g|, standard deviation and max |g| by operand and layer, over the steps.

        The channels of a scale that has several count like steps.
        """
        count = self._sizes * max(self.steps, 1)
        shape = (3, len(self.scales))
        zeros = self.sums.new_zeros(shape)
        mean, size, square = zeros.index_add(1, self._owner, self.sums[:3]) / count
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        columns = torch.stack([size, deviation, self.largest(self.sums[3])], dim=1)
        summary: dict[str, dict[str, dict[str, float]]] = {name: {} for name in OPERANDS}
        for (layer, operand), row in zip(self.scales, transfers.to_host(columns), strict=True):
            summary[operand][layer] = dict(zip(("mean_abs", "std", "max_abs"), row, strict=True))
        return summary

    def clear(self) -> None:
        """Begin a new epoch."""
        self.sums.zero_()
        self.steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far."""
        return {"sums": self.sums, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the sums of an interrupted epoch."""
        self.sums.copy_(state["sums"])
        self.steps = state["steps"]


@lru_cache(maxsize=32)
def _sizes_and_owners(sizes: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ``sizes`` of scales, [scales], and the position of each value's scale, [values].

    They are kept: policies change in every step, sizes hardly do, and whatever is sent to a device
    waits for it.
    """
    counts = torch.tensor(sizes, dtype=torch.int64)
    return counts.to(device), torch.arange(len(sizes)).repeat_interleave(counts).to(device)


def scale_gradients(model: QuantizedModel) -> dict[int, ScaleGradients]:
    """Return an empty ``ScaleGradients`` for every bit-width of ``model``."""
    found = {}
    device = next(model.parameters()).device
    for bits in model.bitset:
        with model.at(bits):
            found[bits] = ScaleGradients(model.active_scales(), device)
    return found
