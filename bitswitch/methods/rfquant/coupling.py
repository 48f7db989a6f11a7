"""Keep weights that all bit-widths share from working against each other."""

import torch
from torch import Tensor

from bitswitch.quant.grid import clip, grid_codes
from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.quant.quantizer import Width

_OUTER_QUARTER = 0.375
"""Distance from a code, as a share of the scale, beyond which a weight lies in the outer quarter of
its bin."""


def clipped(weight: Tensor, quantizer: WeightQuantizer, width: Width) -> Tensor:
    """Return ``weight`` clipped to the range of its grid; gradients reach what is inside alone.

    The scale gets none; the bounds count as inside.
    """
    scale = quantizer.scale.at(width.index).detach()
    low, high = quantizer.bounds(width)
    with torch.no_grad():
        bounded = clip(weight, low * scale, high * scale)
    return torch.where(bounded == weight, weight, bounded)


def clipped_energy(weight: Tensor, quantizer: WeightQuantizer, width: Width) -> Tensor:
    """Return half the sum of squares of the clipped ``weight``, a 0-d tensor.

    Subtracted from the loss with the factor of the weight decay, it cancels the decay of weights
    inside the range of ``width``.

    Source: tang2024retraining, public code.
    """
    return clipped(weight, quantizer, width).square().sum() / 2


def coupled_error(
    weight: Tensor, quantizer: WeightQuantizer, width: Width, narrowest: Width
) -> Tensor:
    """Return the squared quantization error at ``width``, per position of a filter, a 0-d tensor.

    Only weights count whose code is also one of ``narrowest``: a multiple of the ratio between both
    scales, inside the range of the narrower grid. They are pulled to their code; the scale gets no
    gradient.

    Args:
        weight: [out, in, ...].
        quantizer: Of that weight.
        width: In use.
        narrowest: The narrowest width this layer may take, at most ``width``.

    Source: tang2024retraining, public code.
    """
    scale = quantizer.scale.at(width.index).detach()
    ratio = narrowest.ratio / width.ratio
    low, high = quantizer.bounds(narrowest)
    with torch.no_grad():
        codes = grid_codes(weight, scale, *quantizer.bounds(width))
        multiples = codes / ratio
        shared = (multiples == multiples.round()) & (multiples >= low) & (multiples <= high)
    errors = clipped(weight, quantizer, width) - codes * scale
    return torch.where(shared, errors, 0.0).square().sum() * len(weight) / weight.numel()


@torch.no_grad()
def instability(weight: Tensor, quantizer: WeightQuantizer, widths: list[Width]) -> Tensor:
    """Return how near weights are to leaving their bins, mean over ``widths``, a 0-d tensor.

    At b bits that is the share of weights in the outer quarter of their bin, divided by b. The
    outer sides of the lowest and highest bin lead nowhere and do not count.

    Source: tang2024retraining, public code.
    """
    shares = []
    for width in widths:
        scale = quantizer.scale.at(width.index)
        ratios = clip(weight / scale, *quantizer.bounds(width))
        outer = (ratios - ratios.round()).abs() > _OUTER_QUARTER
        shares.append(outer.float().mean() / width.bits)
    return torch.stack(shares).mean()
