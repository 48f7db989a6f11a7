"""Batch normalisation whose statistics are those of the whole batch, wherever its parts are."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.quant.grid import at_least_float32
from bitswitch.runtime import transfers
from bitswitch.runtime.ranks import Ranks


def batch_norm(
    x: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    ranks: Ranks | None,
) -> Tensor:
    """Return what ``torch.nn.functional.batch_norm`` does of the shares of all ranks together.

    Args:
        x: Share of this rank, [n, channels, ...].
        mean: Running mean [channels], changed in training; None: not tracked.
        variance: The same.
        weight: [channels], or None.
        bias: [channels], or None.
        training: Whether the batch is normalised by its own statistics.
        momentum: Weight of the batch in the running ones.
        eps: Added to the variance.
        ranks: Whose batch it is; None: this rank's share stands for itself.
    """
    if ranks is None or ranks.alone or not training:
        return nn.functional.batch_norm(
            x, mean, variance, weight, bias, training=training, momentum=momentum, eps=eps
        )
    axes = [axis for axis in range(x.dim()) if axis != 1]
    count = x.numel() // x.shape[1] * ranks.count
    wide = at_least_float32(x)  # sums of 16 bits would lose all but two digits
    center = ranks.summed(wide.sum(axes)) / count
    moved = wide - _spread(center, x)
    spread = ranks.summed(moved.square().sum(axes)) / count
    if mean is not None and variance is not None:
        with torch.no_grad():
            mean.lerp_(center.to(mean), momentum)
            variance.lerp_((spread * count / (count - 1)).to(variance), momentum)
    result = moved * _spread((spread + eps).rsqrt(), x)
    if weight is not None and bias is not None:
        result = result * _spread(weight, x) + _spread(bias, x)
    return result.to(x.dtype)


def _spread(values: Tensor, x: Tensor) -> Tensor:
    """Return ``values`` [channels] as something that meets the channels of ``x``."""
    return values.view(1, -1, *[1] * (x.dim() - 2))


def synchronize(model: nn.Module, ranks: Ranks) -> None:
    """Let all batch norms of ``model`` see the whole batch from now on, those of PyTorch too."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            object.__setattr__(module, "forward", partial(_forward, module, ranks))
        elif hasattr(module, "ranks"):
            object.__setattr__(module, "ranks", ranks)


def _forward(norm: _BatchNorm, ranks: Ranks, x: Tensor) -> Tensor:
    """Do what ``norm`` does, on the shares of all ranks together."""
    momentum = norm.momentum
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if momentum is None:
            momentum = 1.0 / transfers.to_host(norm.num_batches_tracked)
    return batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight,
        norm.bias,
        training=norm.training or norm.running_mean is None,
        momentum=momentum or 0.0,
        eps=norm.eps,
        ranks=ranks,
    )
