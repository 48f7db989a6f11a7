"""Training that goes on at one policy alone."""

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from torch import Tensor

from bitswitch.contracts import Evaluation, Lesson, Method, Moment, Pass
from bitswitch.exploration.evaluating import batches_of, evaluate_policy
from bitswitch.randomness import generator
from bitswitch.search_spec import SearchSpec
from bitswitch.training.distillation import Distillation
from bitswitch.training.optimizers import scheduled
from bitswitch.training.seeding import seed_step
from bitswitch.training.step import Learner, train_step
from bitswitch.training.trained import Trained
from bitswitch.types import Policy

if TYPE_CHECKING:
    from bitswitch.spec import TrainingSpec


class OnePolicy(Method):
    """The loss of another method, at one policy and no other."""

    def __init__(self, method: Method, policy: Policy) -> None:
        super().__init__(method.options, method.bitset)
        self.method = method
        self.policy = policy

    def passes(self, training: "TrainingSpec", moment: Moment, layers: Sequence[str]) -> list[Pass]:
        return [Pass(None, self.policy)]

    def loss(self, lesson: Lesson) -> Tensor:
        return self.method.loss(lesson)


def retrained(trained: Trained, policy: Policy, spec: SearchSpec) -> Evaluation:
    """Return how good ``policy`` is on the test split after ``spec.retraining``.

    The trained model is left as it is: a copy is trained.

    Raises:
        Diverged: training cannot go on.
    """
    training = spec.retraining
    assert training is not None
    model, dataset = deepcopy(trained.model), trained.dataset
    device = next(model.parameters()).device
    memory = Distillation(training, dataset.size("train"), trained.parts.dataset.classes, device)
    method = OnePolicy(trained.parts.method, policy)
    learner = Learner.of(method, model, training, memory)
    per_epoch = dataset.size("train") // training.batch_size
    steps, step = per_epoch * training.epochs, 0
    model.train()
    for epoch in range(training.epochs):
        for batch in dataset.train_batches(training.batch_size, epoch, spec.seed, skip=0):
            seed_step(spec.seed, step)
            moment = Moment(epoch, training.epochs, step, steps, generator("retrain", step))
            train_step(learner, batch, scheduled(training, step, steps), moment)
            step += 1
    return evaluate_policy(model, policy, batches_of(dataset, "test", None))
