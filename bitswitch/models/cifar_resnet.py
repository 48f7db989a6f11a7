"""Residual networks for small images: three stages of 16, 32 and 64 channels, depth 6n + 2.

Two forms. ``original`` is He et al.'s network for CIFAR-10. ``preactivation`` is the form in which
multi-precision methods, the target paper's among them, have released it: batch norm and ReLU come
before each convolution, so that every quantized convolution, the shortcut's included, reads
non-negative inputs.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from bitswitch.contracts.data import Model
from bitswitch.runtime.randomness import seeded
from bitswitch.types import Strict

WIDTHS = (16, 32, 64)
"""Channels of the three stages (he2016deep, section 4.2)."""


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution without bias that keeps the image size at stride 1."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class OriginalBlock(nn.Module):
    """Two convolutions, each followed by batch norm; ReLU after the sum.

    Where the shape changes, the shortcut drops every other pixel and fills the new channels with
    zeros (option A), so it has no weights to quantize.

    Source: he2016deep, Figure 2 and section 4.2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, outputs - inputs
        self.conv1, self.bn1 = conv3x3(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv3x3(outputs, outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return functional.relu(out + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1 and self.extra == 0:
            return x
        half = self.extra // 2
        channels = (half, self.extra - half)
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *channels))


class PreactivationBlock(nn.Module):
    """Batch norm and ReLU before each of two convolutions; nothing after the sum.

    Where the shape changes, a 1x1 convolution without batch norm reads the activated input.

    Source: he2016identity, Figure 4e; shortcut as in the code of huang2025nearly.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, outputs, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv3x3(outputs, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        out = functional.relu(self.bn2(self.conv1(active)))
        merged: Tensor = self.conv2(out) + shortcut
        return merged


class CifarResNet(nn.Module):
    """Stem, three stages, global average pool, classifier.

    Args:
        blocks: Blocks per stage, n in depth 6n + 2.
        classes: Number of outputs.
        preactivation: Form of the blocks; then there is no batch norm after the stem, and batch
            norm and ReLU stand before the pool.
    """

    def __init__(self, blocks: int, classes: int, preactivation: bool) -> None:
        super().__init__()
        block = PreactivationBlock if preactivation else OriginalBlock
        self.preactivation = preactivation
        self.conv1 = conv3x3(3, WIDTHS[0])
        self.bn = nn.BatchNorm2d(WIDTHS[-1] if preactivation else WIDTHS[0])
        stages, inputs = [], WIDTHS[0]
        for width in WIDTHS:
            stride = 1 if width == WIDTHS[0] else 2
            rest = [block(width, width, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(block(inputs, width, stride), *rest))
            inputs = width
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(WIDTHS[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, classes] of ``images`` [n, 3, height, width]."""
        x = self.conv1(images)
        if self.preactivation:
            x = functional.relu(self.bn(self.stages(x)))
        else:
            x = self.stages(functional.relu(self.bn(x)))
        logits: Tensor = self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


class _CifarResNet(Model):
    """A CIFAR ResNet of fixed depth."""

    source = "he2016deep"
    blocks: ClassVar[int]

    class Options(Strict):
        """Which form."""

        form: Literal["original", "preactivation"] = "preactivation"
        """``preactivation``: as released with multi-precision methods; ``original``: as in
        he2016deep, shortcut option A."""

    options: Options

    def build(self, outputs: int, seed: int) -> nn.Module:
        with seeded("model", seed):
            return CifarResNet(self.blocks, outputs, self.options.form == "preactivation")

    def order(self, net: nn.Module) -> Sequence[str] | None:
        """Return the order of registration for pre-activation blocks, the traced one for others.

        Their last batch norm, ``bn``, has the copies of the first layer's bit-width, and a block's
        shortcut counts as its last layer.
        """
        names = [name for name, _ in net.named_modules()]
        return names if self.options.form == "preactivation" else None


class ResNet8(_CifarResNet):
    """One block per stage: for tests and for suites on embedded data."""

    blocks = 1


class ResNet20(_CifarResNet):
    """Three blocks per stage, 0.27 M weights."""

    blocks = 3
