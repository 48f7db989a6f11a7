"""Moving averages of parameters."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class ParameterAverage(nn.Module):
    """An exponential moving average of all parameters of a network, saved with it.

    Args:
        parameters: Their number and order must not change.
    """

    values: Tensor
    """The average, [values of all parameters]."""
    rate: Tensor
    """Weight of the newest parameters, 0-d."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self.register_buffer("values", _vector(parameters))
        self.register_buffer("rate", torch.ones(()))

    @torch.no_grad()
    def start(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        """Begin at ``parameters``; from now on the newest get the weight ``rate``, 0 to 1."""
        self.values.copy_(_vector(parameters))
        self.rate.fill_(rate)

    @torch.no_grad()
    def add(self, parameters: Iterable[nn.Parameter]) -> None:
        """Count ``parameters`` as the newest."""
        self.values.lerp_(_vector(parameters), self.rate)

    @torch.no_grad()
    def restore(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set ``parameters`` to their average."""
        parameters = list(parameters)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, values in zip(parameters, torch.split(self.values, sizes), strict=True):
            parameter.copy_(values.view_as(parameter))


@torch.no_grad()
def _vector(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return all values [n], whatever their order in memory."""
    return torch.cat([parameter.reshape(-1) for parameter in parameters])
