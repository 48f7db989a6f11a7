"""Checks of a model."""

from collections.abc import Callable

import torch
from torch import nn

from bitswitch.contracts.data import Batch, Dataset, Model
from bitswitch.contracts.task import Rows
from bitswitch.runtime.randomness import generator
from bitswitch.tasks.classification import Classification
from bitswitch.tasks.language_model import LanguageModel, Protocol
from bitswitch.testing.failure import require
from bitswitch.types import Strict


class Pictures(Dataset):
    """Made-up images in five classes: what models are checked on unless a dataset is given."""

    task = Classification()
    outputs = 5

    def example(self, count: int, generator: torch.Generator) -> Batch:
        images = torch.randn(count, 3, 32, 32, generator=generator)
        return Batch(images, torch.arange(count) % self.outputs, torch.arange(count))


class Texts(Dataset):
    """Made-up windows of tokens: what models that read tokens are checked on."""

    task = LanguageModel(Protocol("bytes", "shifted", 16, 16, "byte", "made-up tokens"))
    outputs = 5

    def example(self, count: int, generator: torch.Generator) -> Batch:
        tokens = torch.randint(self.outputs, (2, count, 16), generator=generator)
        return Batch(tokens[0], tokens[1], torch.arange(count))


MADE_UP: dict[str, Dataset] = {"images": Pictures(Strict()), "tokens": Texts(Strict())}
"""By what a model reads."""


def network_can_be_trained(model: Model, dataset: Dataset | None = None) -> None:
    """The network takes inputs of the dataset, and training reaches every parameter."""
    dataset = dataset or MADE_UP[model.reads]
    net = model.build(dataset.outputs, 0)
    batch = dataset.example(2, generator("check"))
    outputs = net(batch.inputs)
    if isinstance(dataset.task, Rows):
        rows = dataset.task.rows(outputs)
        require(
            rows.ndim == 2 and rows.shape[1] == dataset.outputs,
            f"For 2 inputs and {dataset.outputs} outputs the network gives shape "
            f"{list(outputs.shape)}.",
            "Return logits [n, classes].",
        )
    loss = dataset.task.loss(outputs, batch.targets)
    require(
        loss.ndim == 0 and bool(loss.isfinite()),
        f"The loss of two examples is {loss.tolist()}.",
        "Return one finite number, the mean over examples.",
    )
    loss.backward()  # type: ignore[no-untyped-call]
    idle = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    require(
        not idle,
        f"No gradient reaches {', '.join(idle)}.",
        "Leave out parameters that the network does not use.",
    )


def network_has_layers_to_quantize(model: Model, dataset: Dataset | None = None) -> None:
    """The network is made of layers that can be quantized."""
    dataset = dataset or MADE_UP[model.reads]
    kinds = [type(module) for module in model.build(dataset.outputs, 0).modules()]
    count = kinds.count(nn.Conv2d) + kinds.count(nn.Linear)
    require(
        count > 2,
        f"The network has {count} plain nn.Conv2d and nn.Linear; the first and last stay float.",
        "Build it from nn.Conv2d and nn.Linear themselves, not from subclasses.",
    )


def weights_depend_on_the_seed_alone(model: Model, dataset: Dataset | None = None) -> None:
    """Initial weights depend on the seed and on nothing else."""
    dataset = dataset or MADE_UP[model.reads]
    before = torch.get_rng_state()
    first, second, other = (model.build(dataset.outputs, seed).state_dict() for seed in (0, 0, 1))
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


MODEL_CHECKS: tuple[Callable[..., None], ...] = (
    network_can_be_trained,
    network_has_layers_to_quantize,
    weights_depend_on_the_seed_alone,
)
"""Each takes a model, and the dataset that it is for, else made-up examples of the kind that it
reads; it raises ``CheckFailed``."""
