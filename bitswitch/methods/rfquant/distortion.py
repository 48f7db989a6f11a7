"""Compare what modules give in one pass of a training step with what they gave in another."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.quant.grid import at_least_float32


class OutputDistortion:
    """Squared differences between the outputs of one pass and those of a kept one.

    ``keep`` or ``compare`` says what the next forward pass in training is for; ``take`` ends it.
    In evaluation nothing is kept.

    Args:
        modules: Whose outputs, by a name of the caller's choice.

    Source: tang2024retraining (information distortion mitigation).
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._kept: dict[str, Tensor] = {}
        self._keeping = False
        self._compared: Collection[str] = ()
        self._differences: list[Tensor] = []
        for name, module in modules.items():
            module.register_forward_hook(partial(self._see, name))

    def keep(self) -> None:
        """Keep the outputs of the next forward pass, in place of those kept before."""
        self.clear()
        self._keeping = True

    def compare(self, names: Collection[str]) -> None:
        """Compare the next forward pass with the kept one, in the modules ``names`` alone."""
        self._keeping, self._compared = False, names

    def take(self) -> Tensor | float:
        """Return the sum over modules of the mean squared difference since ``compare``."""
        found, self._differences = self._differences, []
        self._keeping, self._compared = False, ()
        return torch.stack(found).sum() if found else 0.0

    def clear(self) -> None:
        """Forget what was kept."""
        self._kept = {}
        self.take()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _see(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if not (module.training and torch.is_grad_enabled()):
            return
        if self._keeping:
            # A copy: what follows may change the output in place.
            self._kept[name] = output.detach().clone()
        elif name in self._compared and name in self._kept:
            squares = (output - self._kept[name]).square()
            self._differences.append(at_least_float32(squares).mean())
