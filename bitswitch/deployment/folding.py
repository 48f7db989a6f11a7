"""Batch norms of evaluation as a multiplier and a shift per channel."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.deployment.description import NORM_KINDS
from bitswitch.errors import EncodingError
from bitswitch.nn.norms.pairs import BatchNormGrid
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.norms.transitional import TransitionalBatchNorm
from bitswitch.quant.per_bit import Key, PerBit, Switchable
from bitswitch.types import BitSet

Kind = Literal["shared", "bits", "transition", "pair"]
SWITCHABLE: dict[type[nn.Module], Kind] = {
    SwitchableBatchNorm: "bits",
    TransitionalBatchNorm: "transition",
    BatchNormGrid: "pair",
}


class FoldedNorm(NamedTuple):
    """One batch norm, all its copies."""

    kind: Kind
    multiplier: Tensor
    """float32 [copies, channels]."""
    shift: Tensor
    """The same."""


def folded_norms(net: nn.Module, bitset: BitSet) -> dict[str, FoldedNorm]:
    """Return all batch norms of ``net`` by name, in registration order.

    Raises:
        EncodingError: one is not understood, or has no running statistics.
    """
    found: dict[str, FoldedNorm] = {}
    for name, module in net.named_modules():
        if isinstance(module, SwitchableBatchNorm):
            found[name] = _switchable(name, module, bitset)
        elif isinstance(module, _BatchNorm):
            found[name] = _plain(name, module)
        elif isinstance(module, Switchable) and getattr(module, "running_mean", None) is not None:
            raise EncodingError(f"Batch norm '{name}' cannot be exported: {type(module).__name__}.")
    return found


def fold(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Return multiplier and shift, by the operations of torch's kernel for evaluation.

    Args:
        mean: Running mean [..., channels], as all others.
        variance: Running variance.
        weight: None for 1.
        bias: None for 0.
        eps: Added to the variance.
    """
    deviation = torch.sqrt(variance + eps)
    multiplier = 1 / deviation if weight is None else 1 / deviation * weight
    shift = -mean * multiplier if bias is None else bias - mean * multiplier
    return multiplier, shift


def _switchable(name: str, norm: SwitchableBatchNorm, bitset: BitSet) -> FoldedNorm:
    kind = SWITCHABLE.get(type(norm))
    keys = norm.copies
    if isinstance(norm, BatchNormGrid) and norm.alone:
        kind, keys = "shared", norm.copies[:1]
    if kind is None or (kind != "shared" and NORM_KINDS[kind].keys(bitset) != keys):
        raise EncodingError(
            f"Batch norm '{name}' cannot be exported: which copy of {type(norm).__name__} is used "
            f"is not known.\n  Known: {', '.join(cls.__name__ for cls in SWITCHABLE)}"
        )
    mean, variance = _tracked(name, norm)
    weight, bias = (_rows(values, keys) for values in (norm.weight, norm.bias))
    return FoldedNorm(kind, *fold(mean[: len(keys)], variance[: len(keys)], weight, bias, norm.eps))


def _plain(name: str, norm: _BatchNorm) -> FoldedNorm:
    mean, variance = _tracked(name, norm)
    multiplier, shift = fold(mean, variance, norm.weight, norm.bias, norm.eps)
    return FoldedNorm("shared", multiplier.detach()[None], shift.detach()[None])


def _tracked(name: str, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return running mean and variance."""
    if norm.running_mean is None or norm.running_var is None:
        raise EncodingError(f"Batch norm '{name}' cannot be exported: it tracks no statistics.")
    mean, variance = norm.running_mean, norm.running_var
    assert isinstance(mean, Tensor)
    assert isinstance(variance, Tensor)
    return mean, variance


def _rows(values: PerBit | None, keys: Sequence[Key]) -> Tensor | None:
    """Return the parameters of ``keys`` [keys, channels]."""
    return None if values is None else torch.stack([values.of(key).detach() for key in keys])
