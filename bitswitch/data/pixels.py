"""Bytes to what networks read."""

import torch
from torch import Tensor

Channels = tuple[float, float, float]


class Normalise:
    """Maps bytes to float32 with about zero mean and unit variance.

    Args:
        mean: Of each channel, in units of full brightness.
        std: Of each channel, in the same units.
        device: Where the images are.
    """

    def __init__(self, mean: Channels, std: Channels, device: torch.device) -> None:
        self.mean = torch.tensor(mean, device=device).mul(255).view(1, 3, 1, 1)
        self.scale = torch.tensor(std, device=device).mul(255).reciprocal().view(1, 3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 of ``images``, uint8 [n, 3, height, width]."""
        return (images - self.mean) * self.scale
