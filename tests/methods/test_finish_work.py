"""What methods say they do after training, against what passes through their networks."""

import pytest

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.plugins import facts
from bitswitch.testing.subject import Subject, batches

LAYERS, IMAGES = 5, 16
EXTENT = Workload(layers=LAYERS, epoch_examples=4 * IMAGES, batch_size=IMAGES)


def images_through(subject):
    """Return how many images ``finish`` sends through the layers, on average."""
    train_state, seen = subject.train_state(), []
    layers = train_state.model.quantized_layers.values()
    for layer in layers:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    train_state.method.finish(train_state.model, batches)
    return sum(seen) / len(layers)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("double-rounding", {}),
        ("kure", {"host": "lsq"}),
        ("eq-net", {"recalibration_batches": 3}),
        ("zero-step", {"recalibration_batches": 3}),
        ("rfquant", {}),
        ("l1-regularization", {"clips": "max"}),
    ],
)
def test_forward_passes_are_counted(method, options):
    subject = Subject.of(method, options)
    work = facts.finish_work(subject.spec, EXTENT)
    assert work == ExamplePasses(forward=images_through(subject))


@pytest.mark.parametrize(
    ("method", "budget"),
    [
        ("kure", {"iterations": 1}),
        ("l1-regularization", {"iterations": 2}),
        ("kure", {"evaluations": 30}),
        ("l1-regularization", {"evaluations": 30}),
    ],
)
def test_evaluations_of_clips_are_about_right(method, budget):
    subject = Subject.of(method, budget, (4, 2))
    work = facts.finish_work(subject.spec, EXTENT._replace(layers=3))  # whose clips are fitted
    assert work.trained == 0
    assert images_through(subject) / 2 < work.forward < images_through(subject) * 4


@pytest.mark.parametrize("iterations", [1, 20])
def test_learning_to_round_is_training(iterations):
    subject = Subject.of("ptmq", {"iterations": iterations, "batch_size": 8})
    work = facts.finish_work(subject.spec, EXTENT)
    assert images_through(subject) / 2 < sum(work) < images_through(subject) * 2
