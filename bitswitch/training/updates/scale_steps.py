"""How far one step moves the quantization scales, whatever the sizes of their gradients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bitswitch.nn.alrs import CLIP
from bitswitch.spec.training import ScaleStep

AFTERWARDS = ("lamb", "relative")
"""Rules that change the step and not the gradient."""


@contextmanager
def scale_step(
    rule: ScaleStep | None, scales: Sequence[nn.Parameter], rate: float | Tensor
) -> Iterator[None]:
    """Step the optimizer of ``scales`` inside; those that have a gradient move by ``rule``.

    With s the scales of one layer and operand, g their gradient, and norms over both:

    - ``clipped``: g min(1, 1 / |g|) stands for g;
    - ``normalized``: g / |g|;
    - ``lars``: g |s| / |g|, so that a step is a share of s; the publication's trust coefficient is
      part of the learning rate;
    - ``lamb``: what the optimizer makes of g is given the length ``rate`` |s|;
    - ``relative``: it is multiplied by s.

    Args:
        rule: None: the optimizer alone decides.
        scales: All that the optimizer has.
        rate: Their learning rate.

    Source: pascanu2013difficulty, Alg. 1 (clipped); hazan2015beyond, Alg. 1 (normalized);
    you2017large, Eq. 6 (lars); you2020large, Alg. 2 (lamb).
    """
    moving = [scale for scale in scales if scale.grad is not None] if rule else []
    if not moving:
        yield
        return
    before = [scale.detach().clone() for scale in moving]
    if rule not in AFTERWARDS:
        _resize(rule, moving, before)
    yield
    if rule in AFTERWARDS:
        _change_steps(rule, moving, before, rate)


def _resize(rule: ScaleStep | None, moving: Sequence[nn.Parameter], before: list[Tensor]) -> None:
    """Multiply every gradient by what ``rule`` says; a gradient of zeros stays one."""
    gradients = [scale.grad for scale in moving if scale.grad is not None]
    norms = _norms(gradients)
    match rule:
        case "clipped":
            factors = (CLIP / norms).clamp(max=1.0)
        case "lars":
            factors = _norms(before) / norms
        case _:
            factors = 1 / norms
    torch._foreach_mul_(gradients, list(factors.where(norms > 0, 0.0).unbind()))


@torch.no_grad()
def _change_steps(
    rule: ScaleStep | None,
    moving: Sequence[nn.Parameter],
    before: list[Tensor],
    rate: float | Tensor,
) -> None:
    """Change the steps that were taken from ``before``; where there was none, there is none."""
    steps = torch._foreach_sub([scale.detach() for scale in moving], before)
    factors = before
    if rule == "lamb":
        norms = _norms(steps)
        lengths = (rate * _norms(before) / norms).abs()  # a negative rate turned steps already
        factors = list(lengths.where(norms > 0, 0.0).unbind())
    torch._foreach_mul_(steps, factors)
    torch._foreach_add_(before, steps)
    torch._foreach_copy_([scale.detach() for scale in moving], before)


def _norms(tensors: Sequence[Tensor]) -> Tensor:
    """Return the norm of each of ``tensors``, [tensors]."""
    return torch.stack(torch._foreach_norm(list(tensors)))
