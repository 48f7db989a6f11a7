"""Training that goes on at one policy alone."""

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from torch import Tensor

from bitswitch.contracts import Lesson, Method, Moment, OpenDataset, Pass
from bitswitch.errors import SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.randomness import generator
from bitswitch.search_spec import SearchSpec
from bitswitch.training.blame import blamed
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
        return [Pass(None, self.policy, update=training.update == "separate")]

    def loss(self, lesson: Lesson) -> Tensor:
        return self.method.loss(lesson)


def retrained(trained: Trained, policy: Policy, spec: SearchSpec) -> QuantizedModel:
    """Return a copy of the trained model after ``spec.retraining`` at ``policy`` alone.

    Raises:
        Diverged: training cannot go on.
        PluginError: the method raised an error.
        SpecError: batches larger than the training split.
    """
    training = spec.retraining
    assert training is not None
    model, dataset = deepcopy(trained.model), trained.dataset
    memory = Distillation(training, dataset.size("train"), trained.parts.dataset.classes)
    learner = Learner.of(OnePolicy(trained.parts.method, policy), model, training, memory)
    model.train()
    with blamed(f"method '{spec.run.method.name}'", "retraining at one policy"):
        _train(learner, dataset, spec.seed)
    return model


def _train(learner: Learner, dataset: OpenDataset, seed: int) -> None:
    """Take all steps of the learner's recipe."""
    training, images = learner.training, dataset.size("train")
    per_epoch = images // training.batch_size
    if per_epoch == 0:
        raise SpecError(
            f"retraining.batch_size {training.batch_size} is larger than the {images} training "
            f"images. Use {images} or less."
        )
    steps, step = per_epoch * training.epochs, 0
    for epoch in range(training.epochs):
        for batch in dataset.train_batches(training.batch_size, epoch, seed, skip=0):
            seed_step(seed, step)
            draws = generator("retrain", seed, step)
            moment = Moment(epoch, training.epochs, step, steps, draws)
            train_step(learner, batch, scheduled(training, step, steps), moment)
            step += 1
