"""Notice runs that have failed as experiments, and say why."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import torch
from torch import Tensor, nn

from bitswitch.errors import Diverged
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime import transfers


def check_loss(
    loss: float, place: str, model: QuantizedModel, scales: Tensor | None = None
) -> None:
    """Stop at a loss that is NaN or infinite.

    Args:
        loss: Of a batch, or of a split.
        place: Where it was seen.
        model: Whose loss it is.
        scales: Its scales at that time, as ``flat`` has them; None: as they are now.

    Raises:
        Diverged: it is; names the first scale that is not positive, if there is one.
    """
    if not isfinite(loss):
        broken = broken_scale(model, scales)
        because = f"; {broken}" if broken else ""
        raise Diverged(f"the loss is {loss} {place}{because}")


def reflect_scales(scales: Sequence[nn.Parameter]) -> Tensor:
    """Mirror negative scales at zero, in place, and return how many there were, int64 [].

    A quantizer with step -s gives what one with step s gives, up to the asymmetry of its range, so
    this changes next to nothing in a step; but it keeps every step positive. Adam moves a scale by
    about the learning rate however small the scale is, and so can push it across zero.
    """
    with torch.no_grad():
        crossed = torch.cat([scale.reshape(-1) for scale in scales]) < 0
        torch._foreach_abs_(list(scales))
    return crossed.sum()


def flat(scales: Iterable[nn.Parameter]) -> Tensor:
    """Return a copy of all ``scales``, one behind the other, [values]."""
    return torch.cat([scale.detach().reshape(-1) for scale in scales])


def all_positive(scales: Tensor) -> Tensor:
    """Return whether none of ``scales`` [values] is zero, negative or NaN, bool []."""
    return (scales > 0).all()


def by_scales(
    model: QuantizedModel, place: str, rates: Mapping[str, float], scales: Tensor | None = None
) -> Diverged:
    """Return the diagnosis that a scale is zero, negative or NaN.

    Args:
        model: After an update.
        place: Which step it was.
        rates: lambda_b of that update by pass.
        scales: Of the model after that update, as ``flat`` has them; None: as they are now.
    """
    used = ", ".join(f"{part} {rate:.3g}" for part, rate in rates.items())
    return Diverged(f"{broken_scale(model, scales)} {place}; learning rates of scales: {used}")


def broken_scale(model: QuantizedModel, scales: Tensor | None = None) -> str | None:
    """Return which scale is not positive, with its layer, operand, bit-width and value.

    Args:
        model: Whose scales they are.
        scales: Their values, as ``flat`` has them; None: as they are now.
    """
    parameters = list(model.scale_parameters().values())
    if not parameters:
        return None
    values = flat(parameters) if scales is None else scales
    parts = torch.split(values, [parameter.numel() for parameter in parameters])
    held = dict(zip(map(id, parameters), parts, strict=True))
    for bits in model.bitset:
        with model.at(bits):
            active = model.active_scales()
        smallest = [held[id(scale)].min() for scale in active.values()]
        found = transfers.to_host(torch.stack(smallest)) if smallest else []
        for (layer, operand), value in zip(active, found, strict=True):
            if not value > 0:
                return f"the {operand} scale of layer '{layer}' at {bits} bit is {value:.3g}"
    return None
