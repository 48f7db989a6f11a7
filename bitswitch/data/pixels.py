"""Bytes to what networks read."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bitswitch.contracts.data import Batch

if TYPE_CHECKING:
    from PIL.Image import Image

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
        return (images - self.mean).mul_(self.scale)


def noise(count: int, size: int, classes: int, generator: torch.Generator) -> Batch:
    """Return made-up images, normal in every pixel, of made-up classes.

    Args:
        count: How many.
        size: Height and width in pixels.
        classes: How many there are.
        generator: On the CPU.
    """
    images = torch.randn(count, 3, size, size, generator=generator)
    targets = torch.randint(classes, (count,), generator=generator)
    return Batch(images, targets, torch.arange(count))


def scaled(image: "Image", size: int, mean: Channels, std: Channels) -> Tensor:
    """Return a picture, scaled to ``size`` in both directions and normalised, float32 [3, ...].

    Args:
        image: RGB, of any size.
        size: In pixels; a picture that has it is not scaled.
        mean: See ``Normalise``.
        std: The same.
    """
    fitting = image if image.size == (size, size) else image.resize((size, size))
    pixels = torch.from_numpy(np.array(fitting)).permute(2, 0, 1)
    return Normalise(mean, std, torch.device("cpu"))(pixels[None])[0]
