"""Gradients of the passes of one step, kept apart until it is known how much each counts."""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn

from bitswitch.contracts.method import HostRequest
from bitswitch.errors import Diverged


class PassGradients:
    """What every pass of a step gave the parameters that all bit-widths use.

    Takes the memory of one gradient per pass.

    Args:
        parameters: Used at every bit-width.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.kept: list[list[Tensor]] = []
        self._products: list[list[float]] = []

    def take(self) -> None:
        """Take over the gradients of a pass; the next one begins without any."""
        taken = []
        for parameter in self.parameters:
            gradient = parameter.grad
            taken.append(torch.zeros_like(parameter) if gradient is None else gradient)
            parameter.grad = None
        self.kept.append(taken)

    def request(self) -> HostRequest:
        """Return the inner products of the gradients of all passes, to be sent with the last."""
        count = len(self.kept)
        gram = torch.zeros((count, count), dtype=torch.float64, device=self.parameters[0].device)
        for gradients in zip(*self.kept, strict=True):
            rows = torch.stack([gradient.reshape(-1) for gradient in gradients])
            gram += rows @ rows.T
        return HostRequest(gram.reshape(-1), self._receive)

    def _receive(self, sent: list[float]) -> None:
        count = len(self.kept)
        self._products = [sent[at : at + count] for at in range(0, len(sent), count)]

    def products(self, place: str) -> list[list[float]]:
        """Return what ``request`` asked for, [passes][passes].

        Raises:
            Diverged: one is NaN or infinite; names ``place``.
        """
        if not all(isfinite(product) for row in self._products for product in row):
            raise Diverged(f"the gradients of some pass are not finite {place}")
        return self._products

    def put_back(self, weights: Sequence[float]) -> None:
        """Set the gradient of every parameter to the weighted sum over passes; keep none."""
        total, *others = self.kept
        first, *rest = weights
        torch._foreach_mul_(total, first)
        for gradients, weight in zip(others, rest, strict=True):
            torch._foreach_add_(total, gradients, alpha=weight)
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = gradient
        self.kept.clear()
