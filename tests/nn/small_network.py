"""A small network with every kind of layer, quantized by Double Rounding."""

import torch
from torch import nn

from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.methods.hasb.double_rounding_unshared import DoubleRoundingUnshared

BITSET = (8, 4, 2)


def float_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 12),
        nn.ReLU(),
        nn.Linear(12, 5),
    )


def double_rounding(bitset=BITSET, **options):
    return DoubleRounding(DoubleRounding.Options(**options), bitset)


def unshared(bitset=BITSET, **options):
    return DoubleRoundingUnshared(DoubleRoundingUnshared.Options(**options), bitset)
