"""torchvision's ImageNet networks, by name."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import nn

from bitswitch.contracts.data import Download, Model
from bitswitch.models.weight_files import State
from bitswitch.models.weights import WeightOptions, kept_at, load_weights
from bitswitch.runtime.randomness import seeded

PUBLISHED_WIDTH = 64
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
            net: nn.Module = models.get_model(
                self.name, weights=None, num_classes=outputs, **self.arguments()
            )
        file = self._file()
        self.pretrained = load_weights(net, self.options, lambda: _read(file), file)
        return net

    def download(self) -> Download | None:
        file = self._file()
        return file if self.options.weights == "imagenet" and not file.path.exists() else None

    def recomputable(self, net: nn.Module) -> Sequence[str]:
        from torchvision.models import mobilenetv2, resnet

        blocks = (resnet.BasicBlock, resnet.Bottleneck, mobilenetv2.InvertedResidual)
        return [name for name, part in net.named_modules() if isinstance(part, blocks)]

    def _file(self) -> Download:
        from torchvision import models

        url = models.get_model_weights(self.name)[PUBLISHED].url
        return Download(url, kept_at(url.rpartition("/")[2]))

    def arguments(self) -> dict[str, Any]:
        """Return what the network is built with besides its number of outputs."""
        return self.options.model_dump(exclude=set(WeightOptions.model_fields))


def _read(file: Download) -> State:
    """Return published weights, from torch's cache when they are there.

    Raises:
        ValueError: those in the cache are damaged.
    """
    url, kept = file
    expected = kept.stem.rpartition("-")[2]
    if kept.exists():
        with kept.open("rb") as content:
            if not hashlib.file_digest(content, "sha256").hexdigest().startswith(expected):
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

    class Options(WeightOptions):
        """Where the weights come from, and how wide blocks are inside."""

        width_per_group: Annotated[
            PositiveInt, Field(exclude_if=lambda width: width == PUBLISHED_WIDTH)
        ] = PUBLISHED_WIDTH
        """Features that the middle convolution of the first blocks has; published weights are for
        64."""


class MobileNetV2(_Torchvision):
    """Inverted residuals with depthwise convolutions, 3.5 M weights."""

    source = "sandler2018mobilenetv2"
    name = "mobilenet_v2"
