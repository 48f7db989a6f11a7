"""A few training steps at one policy, on a copy of a network."""

from copy import deepcopy
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from torch.optim import SGD

from bitswitch.contracts.search import Problem
from bitswitch.types import Policy

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel

MOMENTUM, WEIGHT_DECAY = 0.9, 4e-5
"""As in the public code of wang2019haq."""


def fine_tuned(
    problem: Problem, policy: Policy, steps: int, learning_rate: float
) -> "QuantizedModel":
    """Return a copy of the problem's network after some steps of SGD at ``policy``.

    Quantization scales stay as they are. Every call trains on the same batches.
    """
    model = deepcopy(problem.model).train()
    model.switch(policy)
    optimizer = SGD(
        model.other_parameters().values(),
        lr=learning_rate,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
    )
    batches = chain.from_iterable(problem.train_batches(epoch) for epoch in count())
    for batch in islice(batches, steps):
        optimizer.zero_grad()
        loss = problem.task.loss(model(batch.inputs), batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model
