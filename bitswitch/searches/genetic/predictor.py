"""A network that predicts how good policies are from some that were evaluated."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from math import ceil, inf
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss, smooth_l1_loss

from bitswitch.runtime.randomness import seeded
from bitswitch.searches.space import Vector, pick
from bitswitch.types import BitSet, Strict


class PredictorOptions(Strict):
    """Size and training; defaults are those of xu2023eqnet."""

    layers: PositiveInt = 7
    """Hidden ones."""
    width: PositiveInt = 200
    """Units of each hidden layer."""
    learning_rate: PositiveFloat = 4e-4
    weight_decay: NonNegativeFloat = 1e-5
    batch_size: PositiveInt = 256
    epochs: PositiveInt = 100
    steps: PositiveInt = 300
    """At least so many, in more epochs where there are few policies; 2500 are published, from
    6400 policies."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Of the policies; the epoch with the least error on them is kept."""
    centred: bool = True
    """Predict the difference from the mean; False: from 0, as the published code does,
    which never fills in the mean that it has a place for."""


class Predictor:
    """Predicts the headline from one-hot bit-widths by a multilayer perceptron with ReLU.

    Smooth L1 loss on accuracies in [0, 1], or on other headlines divided by their largest
    magnitude; Adam, no bias in the last layer.

    Args:
        bitset: Bit-widths that an entry of a vector may have.
        entries: Of a vector.
        options: Size and training.
        scale: Of the headline: 100 for percent.

    Source: xu2023eqnet, public code.
    """

    def __init__(
        self, bitset: BitSet, entries: int, options: PredictorOptions, scale: float = 100.0
    ) -> None:
        self.bitset = torch.tensor(bitset)
        self.entries = entries
        self.options = options
        self.scale = scale
        self.base = 0.0
        self.net = nn.Sequential()

    def fit(
        self, vectors: Sequence[Vector], merits: Sequence[float], generator: torch.Generator
    ) -> float:
        """Train anew on policies and their headlines, larger is better; at least two.

        Returns:
            Root mean squared error on the validation part, in the unit of the headline.
        """
        options = self.options
        inputs, targets = self.one_hot(vectors), torch.tensor(merits) / self.scale
        order = torch.randperm(len(targets), generator=generator)
        held = min(len(targets) - 1, max(1, round(options.validation_share * len(targets))))
        validation, training = order[:held], order[held:]
        self.base = float(targets[training].mean()) if options.centred else 0.0
        with seeded(pick(2**62, generator)):
            self.net = self._build()
        adam = torch.optim.Adam(
            self.net.parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            fused=True,
        )
        per_epoch = ceil(len(training) / options.batch_size)
        least, kept = inf, self.net.state_dict()
        for _ in range(max(options.epochs, ceil(options.steps / per_epoch))):
            shuffled = training[torch.randperm(len(training), generator=generator)]
            for part in torch.split(shuffled, options.batch_size):
                adam.zero_grad()
                loss = smooth_l1_loss(self._forward(inputs[part]), targets[part])
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
            error = self._error(inputs[validation], targets[validation])
            if error < least:
                least, kept = error, deepcopy(self.net.state_dict())
        self.net.load_state_dict(kept)
        return self.scale * least

    @torch.no_grad()
    def predict(self, vectors: Sequence[Vector]) -> list[float]:
        """Return the headlines of policies, larger is better."""
        found: list[float] = (self.scale * self._forward(self.one_hot(vectors))).tolist()
        return found

    def one_hot(self, vectors: Sequence[Vector]) -> Tensor:
        """Return float32 [policies, entries * bit-widths], with one 1 for each entry."""
        bits = torch.tensor(vectors).reshape(len(vectors), self.entries, 1)
        return (bits == self.bitset).float().flatten(1)

    def _forward(self, inputs: Tensor) -> Tensor:
        """Return scaled headlines [n] as far as learned, of one-hot policies [n, ...]."""
        output: Tensor = self.net(inputs)[:, 0]
        return output + self.base

    @torch.no_grad()
    def _error(self, inputs: Tensor, targets: Tensor) -> float:
        return float(mse_loss(self._forward(inputs), targets).sqrt())

    def _build(self) -> nn.Sequential:
        sizes = [self.entries * len(self.bitset), *[self.options.width] * self.options.layers]
        hidden = [
            module
            for before, after in pairwise(sizes)
            for module in (nn.Linear(before, after), nn.ReLU())
        ]
        return nn.Sequential(*hidden, nn.Linear(sizes[-1], 1, bias=False))
