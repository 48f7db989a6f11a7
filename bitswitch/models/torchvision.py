"""torchvision's ImageNet networks, by name."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, ClassVar

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
            net: nn.Module = models.get_model(self.name, weights=None, num_classes=outputs)
        self.change(net)
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

    def change(self, net: nn.Module) -> None:
        """Let ``net``, as torchvision builds it, be what the options say; default: it is."""


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


class _ResNet(_Torchvision):
    """Residual networks, which may be narrow."""

    source = "he2016deep"

    class Options(_Torchvision.Options):
        """Where the weights come from, and how wide the network is."""

        width: Annotated[
            PositiveInt,
            Field(le=PUBLISHED_WIDTH, exclude_if=lambda width: width == PUBLISHED_WIDTH),
        ] = PUBLISHED_WIDTH
        """Features of the first layer; all others have as many times fewer as it. Published weights
        are for 64."""

    options: Options

    def change(self, net: nn.Module) -> None:
        if self.options.width < PUBLISHED_WIDTH:
            narrow(net, self.options.width, PUBLISHED_WIDTH)


class ResNet18(_ResNet):
    """Residual network, 18 layers, 11.7 M weights."""

    name = "resnet18"


class ResNet50(_ResNet):
    """Residual network, 50 layers, 25.6 M weights."""

    name = "resnet50"


class MobileNetV2(_Torchvision):
    """Inverted residuals with depthwise convolutions, 3.5 M weights."""

    source = "sandler2018mobilenetv2"
    name = "mobilenet_v2"


@torch.no_grad()
def narrow(net: nn.Module, width: int, of: int) -> None:
    """Keep the first ``width`` in every ``of`` features of a residual network.

    Args:
        net: Is changed; what comes in and what goes out keep their size.
        width: How many are kept.
        of: Out of so many; divides the number of features of every layer.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels % of == 0:
                module.in_channels = module.in_channels * width // of
            module.out_channels = module.out_channels * width // of
            kept = module.weight[: module.out_channels, : module.in_channels]
            module.weight = nn.Parameter(kept.clone())
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features = module.num_features * width // of
            for name, values in (*module.named_parameters(), *module.named_buffers()):
                if values.dim():
                    getattr(module, name).data = values[: module.num_features].clone()
        elif isinstance(module, nn.Linear):
            module.in_features = module.in_features * width // of
            module.weight = nn.Parameter(module.weight[:, : module.in_features].clone())
