"""torchvision's ImageNet networks, by name."""

import hashlib
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from bitswitch.contracts.data import Model
from bitswitch.models.weight_files import State
from bitswitch.models.weights import WeightOptions, load_weights
from bitswitch.runtime.randomness import seeded

PUBLISHED = "IMAGENET1K_V1"
"""Weights of the original recipes, which quantized networks in publications start from."""


class _Torchvision(Model):
    """A network of ``torchvision.models``."""

    name: ClassVar[str]
    """Its name there."""

    class Options(WeightOptions):
        """Where the weights come from."""

    options: Options

    def build(self, outputs: int, seed: int) -> nn.Module:
        from torchvision import models

        with seeded("model", seed):
            net: nn.Module = models.get_model(self.name, weights=None, num_classes=outputs)
        url = models.get_model_weights(self.name)[PUBLISHED].url
        self.pretrained = load_weights(net, self.options, lambda: _download(url), url)
        return net


def _download(url: str) -> State:
    """Return the weights at ``url``, from torch's cache when they are there.

    Raises:
        ValueError: those in the cache are damaged.
    """
    kept = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    expected = kept.stem.rpartition("-")[2]
    if kept.exists():
        with kept.open("rb") as file:
            if not hashlib.file_digest(file, "sha256").hexdigest().startswith(expected):
                raise ValueError(f"{kept} is damaged (SHA-256 differs): delete it")
    state: State = torch.hub.load_state_dict_from_url(
        url, map_location="cpu", progress=False, check_hash=True, weights_only=True
    )
    return state


class ResNet18(_Torchvision):
    """Residual network, 18 layers, 11.7 M weights."""

    source = "he2016deep"
    name = "resnet18"


class ResNet50(_Torchvision):
    """Residual network, 50 layers, 25.6 M weights."""

    source = "he2016deep"
    name = "resnet50"


class MobileNetV2(_Torchvision):
    """Inverted residuals with depthwise convolutions, 3.5 M weights."""

    source = "sandler2018mobilenetv2"
    name = "mobilenet_v2"
