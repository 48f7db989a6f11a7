"""Hutchinson's estimator of Hessian traces: v^T H v for random signs v, by double backward."""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bitswitch.contracts.task import ROWS
from bitswitch.runtime.randomness import generator


def quadratic_forms(
    loss: Tensor, weights: Sequence[Tensor], probes: Iterable[Sequence[Tensor]]
) -> Tensor:
    """Return v_l . (H v)_l [probes, layers] float64, for every probe v and weight tensor l.

    All tensors are probed at once. Over random signs the mean is the trace of one diagonal block;
    the variance holds the blocks beside it, too.

    Args:
        loss: Scalar, twice differentiable in ``weights``.
        weights: One tensor for each layer.
        probes: Each one tensor for each layer, like its weight.

    Source: dong2020hawq (all layers from one probe).
    """
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    rows = []
    for probe in probes:
        products = torch.autograd.grad(gradients, weights, probe, retain_graph=True)
        pairs = zip(probe, products, strict=True)
        rows.append(torch.stack([(v * product).double().sum() for v, product in pairs]))
    return torch.stack(rows)


Loss = Callable[[Any, Tensor], Tensor]
"""Mean loss of a batch, given the outputs of the network and the targets."""


class Hutchinson:
    """Samples of the traces, one for every batch and probe.

    Args:
        model: In evaluation mode; its ``weights`` require gradients.
        weights: One tensor for each layer.
        loss: Of the outputs and targets of a batch, a scalar.
    """

    population = inf

    def __init__(self, model: nn.Module, weights: Sequence[Tensor], loss: Loss = ROWS.loss) -> None:
        self.model, self.weights, self.loss = model, weights, loss

    def draw(self, images: Tensor, targets: Tensor, probes: range, seed: int) -> Tensor:
        """Return samples [1, probes, layers] of the traces over one batch.

        Args:
            images: [n, ...].
            targets: [n, ...].
            probes: Which ones to draw.
            seed: Of the batch. Batches have probes of their own, so that noise averages out.
        """
        # Fused attention has no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            loss = self.loss(self.model(images), targets)
            drawn = (self._probe(generator("hutchinson", seed, probe)) for probe in probes)
            return quadratic_forms(loss, self.weights, drawn)[None]

    def _probe(self, source: torch.Generator) -> list[Tensor]:
        return [_signs(weight, source) for weight in self.weights]


def _signs(like: Tensor, source: torch.Generator) -> Tensor:
    """Return independent -1 and 1 in the shape of ``like``."""
    bits = torch.randint(2, like.shape, dtype=torch.int8, generator=source)
    return bits.to(like.device).to(like.dtype).mul_(2).sub_(1)
