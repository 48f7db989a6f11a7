"""Training that goes on at one policy alone."""

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from torch import Tensor

from bitswitch.contracts.data import OpenDataset
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.contracts.streams import Stream
from bitswitch.errors import SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.plugins.guard import plugin_errors
from bitswitch.runtime.randomness import generator, seed_step
from bitswitch.spec.search import SearchSpec
from bitswitch.training.distillation import Distillation
from bitswitch.training.state import TrainState
from bitswitch.training.step import queue_step
from bitswitch.training.trained import Trained
from bitswitch.training.unread import STEPS
from bitswitch.training.updates.optimizers import scheduled
from bitswitch.types import Policy

if TYPE_CHECKING:
    from bitswitch.spec.training import TrainingSpec


class OnePolicy(Method):
    """The loss of another method, at one policy and no other."""

    def __init__(self, method: Method, policy: Policy) -> None:
        super().__init__(method.options, method.bitset)
        self.method = method
        self.policy = policy
        self.task = method.task

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        return [Pass(None, self.policy, update=training.update == "separate")]

    def loss(self, context: PassContext) -> Tensor:
        return self.method.loss(context)

    def scale_learning_rate(
        self, training: "TrainingSpec", current: Pass, base: float, largest: Tensor
    ) -> float | Tensor:
        return self.method.scale_learning_rate(training, current, base, largest)

    def needs_scale_gradients(self, training: "TrainingSpec") -> bool:
        return self.method.needs_scale_gradients(training)


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
    memory = Distillation(training, dataset.size("train"), trained.parts.dataset.outputs)
    train_state = TrainState.of(OnePolicy(trained.parts.method, policy), model, training, memory)
    model.train()
    with plugin_errors(f"method '{spec.run.method.name}'", "retraining at one policy"):
        _train(train_state, dataset, spec.seed)
    return model


def _train(train_state: TrainState, dataset: OpenDataset, seed: int) -> None:
    """Take all steps of the recipe."""
    training, images = train_state.training, dataset.size("train")
    per_epoch = images // training.batch_size
    if per_epoch == 0:
        raise SpecError(
            f"retraining.batch_size {training.batch_size} is larger than the {images} training "
            f"images. Use {images} or less."
        )
    steps, step = per_epoch * training.epochs, 0
    for epoch in range(training.epochs):
        stream = Stream("training", epoch)
        for batch in dataset.train_batches(training.batch_size, stream, seed, skip=0):
            seed_step(seed, step)
            draws = generator("retrain", seed, step)
            step_info = StepInfo(epoch, training.epochs, step, steps, draws)
            rate = scheduled(training, step, steps)
            queue_step(train_state, batch, rate, step_info, lambda results: None)
            step += 1
            if step % STEPS == 0:
                train_state.unread.read()
    train_state.unread.read()
