"""DNAS: gates between bit-widths learned by gradient, then the likeliest policy in the budget."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import exp
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor
from torch.optim import SGD, Adam

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.search import Candidate, Problem, Search
from bitswitch.errors import InfeasibleBudgetError, SpecError
from bitswitch.runtime import transfers
from bitswitch.searches.dnas.expected_cost import ExpectedCost
from bitswitch.searches.dnas.hash_split import HashSplit
from bitswitch.searches.dnas.mixture import Mixture, MixtureName
from bitswitch.searches.exact.integer_program import Program
from bitswitch.searches.space import Space
from bitswitch.types import Strict

Share = Annotated[float, Field(ge=0, le=1)]

MOMENTUM = 0.9


class Dnas(Search):
    """Differentiable search: network and gates are trained in turn, on separate training images.

    The network is a copy. The policies returned are the likeliest within the budget.
    """

    source = "wu2018mixed"
    stochastic = True

    class Options(Strict):
        """There is no public code: most defaults are this project's; see DEVIATIONS."""

        epochs: PositiveInt = 90
        """Over the training data, each with steps of both kinds."""
        steps_per_epoch: PositiveInt | None = None
        """Training batches of an epoch; None: all."""
        warmup: Share = 0.1
        """Share of the epochs in which the network alone is trained."""
        gate_share: Share = 0.2
        """Share of the training images that train the gates."""
        mixture: MixtureName = "soft"
        """``hard`` needs no more memory and time than training the network."""
        temperature: PositiveFloat = 5.0
        """tau of the first epoch."""
        annealing: NonNegativeFloat = 2.25
        """tau falls by a factor exp(-annealing) over all epochs (0.025 in each of 90)."""
        learning_rate: PositiveFloat = 0.01
        """Of the network (SGD with momentum)."""
        gate_learning_rate: PositiveFloat = 0.01
        """Of theta (Adam)."""
        loss: Literal["penalty", "product"] = "penalty"
        """``penalty``: CE + weight * max(0, C / budget - 1), C the mean cost of policies drawn by
        their probability; ``product``, as published: CE * weight * log(C)^power, C the mean cost
        at the gates drawn."""
        weight: NonNegativeFloat = 1.0
        """lambda, or beta of the product."""
        power: NonNegativeFloat = 0.9
        """gamma of the product."""
        candidates: PositiveInt = 4
        """Policies to return: the likeliest; the best on held-out images is then taken."""
        slack: Share = 1 / 12
        """By how much, of the range of costs, policies may fall short of the budget: 0.5 bits for
        2 to 8 bits. Where there are none, all within the budget count."""

    options: Options

    def work(self, extent: Workload, evaluations: int) -> ExamplePasses:
        """Return the epochs; a ``soft`` mixture quantizes more often, but convolves once."""
        epochs, steps = self.options.epochs, self.options.steps_per_epoch
        images = extent.epoch_examples if steps is None else extent.examples(steps)
        return ExamplePasses(trained=epochs * images)

    def search(self, problem: Problem) -> list[Candidate]:
        self._check_cost(problem)
        Space.of(problem)  # before anything is trained: is there any policy within the budget?
        mixture = Mixture(problem.model, problem.bitset, problem.tied, self.options.mixture)
        self._train(problem, mixture)
        scores = mixture.log_probabilities()

        def loss(layer: str, weight: int, activation: int) -> float:
            """Return the negative logarithm of the probability of these bit-widths."""
            places = problem.bitset.index(weight), problem.bitset.index(activation)
            return -float(scores[layer][0, places[0]] + scores[layer][1, places[1]])

        # The likeliest policy of all is cheaper than those that are drawn, which cost about as much
        # as the budget: every layer's likeliest bit-width is narrow once costs have been learned.
        least, largest = problem.costs.range(problem.limit.cost, problem.bitset)
        program = Program.of(problem, loss)
        floor = min(problem.limit.value, largest) - self.options.slack * (largest - least)
        try:
            return replace(program, at_least=floor).solve(self.options.candidates)
        except InfeasibleBudgetError:
            return program.solve(self.options.candidates)

    def _train(self, problem: Problem, mixture: Mixture) -> None:
        """Train network and gates.

        Raises:
            SpecError: no step trains the gates, or training diverges.
        """
        options, steps = self.options, 0
        network = SGD(mixture.trained, lr=options.learning_rate, momentum=MOMENTUM)
        gates = Adam([mixture.logits], lr=options.gate_learning_rate)
        cost = ExpectedCost.of(problem)
        warmup = round(options.warmup * options.epochs)
        mixture.train()
        for epoch, trains_gates, batch in self._batches(problem):
            temperature = self.temperature(epoch)
            if not trains_gates:
                drawn = mixture.draw(temperature, problem.generator).detach()
                outputs = mixture(batch.inputs, drawn)
                _descend(network, problem.task.loss(outputs, batch.targets))
            elif epoch >= warmup:
                drawn = mixture.draw(temperature, problem.generator)
                error = problem.task.loss(mixture(batch.inputs, drawn), batch.targets)
                expected = cost(drawn if options.loss == "product" else mixture.probabilities())
                loss = self.loss(error, expected, problem.limit.value)
                (mixture.logits.grad,) = torch.autograd.grad(loss, [mixture.logits])
                gates.step()
                steps += 1
        _check(mixture, steps)

    def _check_cost(self, problem: Problem) -> None:
        """Raise an error where the loss has no logarithm.

        Raises:
            SpecError: the cost may be 1 or less.
        """
        least, _ = problem.costs.range(problem.limit.cost, problem.bitset)
        if self.options.loss == "product" and least <= 1:
            raise SpecError(
                f"Search 'dnas' with loss 'product' needs a cost above 1; {problem.limit.cost} may "
                f"be {least:g}.\n  Take its loss 'penalty', or another cost."
            )

    def temperature(self, epoch: int) -> float:
        """Return tau of a 0-based epoch."""
        return self.options.temperature * exp(-self.options.annealing * epoch / self.options.epochs)

    def loss(self, error: Tensor, cost: Tensor, limit: float) -> Tensor:
        """Return the loss of the gates.

        Args:
            error: Cross-entropy in nats, as the next a single number.
            cost: Expected cost.
            limit: The budget.

        Source: wu2018mixed (``product``).
        """
        if self.options.loss == "penalty":
            return error + self.options.weight * (cost / limit - 1).clamp(min=0)
        return error * self.options.weight * cost.log() ** self.options.power

    def _batches(self, problem: Problem) -> Iterator[tuple[int, bool, Batch]]:
        """Yield batches, each with its epoch and whether its images are those of the gates."""
        salt = int(torch.randint(2**31, (), generator=problem.generator))
        split = HashSplit(self.options.gate_share, salt)
        for epoch in range(self.options.epochs):
            batches = islice(problem.train_batches(epoch), self.options.steps_per_epoch)
            for is_share, batch in split.parted(batches):
                yield epoch, is_share, batch


def _descend(optimizer: SGD, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _check(mixture: Mixture, steps: int) -> None:
    """Raise an error where the gates have learned nothing.

    Raises:
        SpecError: they have not been trained, or are not finite.
    """
    if not steps:
        raise SpecError(
            "Search 'dnas' trains no gates: the images of all epochs after the warm-up make no "
            "batch.\n  Raise its epochs or gate_share, or lower its warmup."
        )
    if not transfers.to_host(mixture.logits.isfinite().all()):
        raise SpecError(
            "Search 'dnas' diverges: its gates are no numbers any more.\n"
            "  Lower its learning_rate or gate_learning_rate."
        )
