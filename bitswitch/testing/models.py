"""Checks of a model."""

from collections.abc import Callable

import torch
from torch import nn

from bitswitch.contracts.data import Model
from bitswitch.testing.failure import require

CLASSES = 5


def network_can_be_trained(model: Model) -> None:
    """The network takes images of 32 by 32 pixels, and training reaches every parameter."""
    net = model.build(CLASSES, 0)
    logits = net(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    require(
        logits.shape == (2, CLASSES),
        f"For 2 images and {CLASSES} classes the network gives shape {list(logits.shape)}.",
        "Return logits [n, classes].",
    )
    logits.sum().backward()
    idle = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    require(
        not idle,
        f"No gradient reaches {', '.join(idle)}.",
        "Leave out parameters that the network does not use.",
    )


def network_has_layers_to_quantize(model: Model) -> None:
    """The network is made of layers that can be quantized."""
    kinds = [type(module) for module in model.build(CLASSES, 0).modules()]
    count = kinds.count(nn.Conv2d) + kinds.count(nn.Linear)
    require(
        count > 2,
        f"The network has {count} plain nn.Conv2d and nn.Linear; the first and last stay float.",
        "Build it from nn.Conv2d and nn.Linear themselves, not from subclasses.",
    )


def weights_depend_on_the_seed_alone(model: Model) -> None:
    """Initial weights depend on the seed and on nothing else."""
    before = torch.get_rng_state()
    first, second, other = (model.build(CLASSES, seed).state_dict() for seed in (0, 0, 1))
    require(
        torch.equal(torch.get_rng_state(), before),
        "build() changes the state of the global random numbers.",
        "Draw inside bitswitch.runtime.randomness.seeded('weights', seed).",
    )
    require(
        all(torch.equal(first[name], second[name]) for name in first),
        "Two networks of the same seed have different weights.",
        "Draw inside bitswitch.runtime.randomness.seeded('weights', seed).",
    )
    require(
        any(not torch.equal(first[name], other[name]) for name in first),
        "Networks of different seeds have the same weights.",
        "Let seed decide the initial weights.",
    )


MODEL_CHECKS: tuple[Callable[[Model], None], ...] = (
    network_can_be_trained,
    network_has_layers_to_quantize,
    weights_depend_on_the_seed_alone,
)
"""Each raises ``CheckFailed``."""
