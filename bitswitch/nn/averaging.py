"""Moving averages of parameters."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector


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
        self.register_buffer("values", parameters_to_vector(parameters).detach().clone())
        self.register_buffer("rate", torch.ones(()))

    @torch.no_grad()
    def start(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        """Begin at ``parameters``; from now on the newest get the weight ``rate``, 0 to 1."""
        self.values.copy_(parameters_to_vector(parameters))
        self.rate.fill_(rate)

    @torch.no_grad()
    def add(self, parameters: Iterable[nn.Parameter]) -> None:
        """Count ``parameters`` as the newest."""
        self.values.lerp_(parameters_to_vector(parameters), self.rate)

    @torch.no_grad()
    def restore(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set ``parameters`` to their average."""
        parameters = list(parameters)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, values in zip(parameters, torch.split(self.values, sizes), strict=True):
            parameter.copy_(values.view_as(parameter))
