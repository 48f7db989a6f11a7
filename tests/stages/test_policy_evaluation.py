import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.conversion import quantize
from bitswitch.methods.eq_net.eq_net import EqNet
from bitswitch.nn.recalibration import recalibrated_at
from bitswitch.stages.policy_evaluation import (
    batches_of,
    evaluate_policy,
    recalibration_inputs,
)
from bitswitch.tasks.classification import Classification
from tests.nn.small_network import BITSET, double_rounding, float_net

COUNT = 11

TASK = Classification()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(COUNT, 3, 12, 12, generator=generator) * 2 + 1


@pytest.fixture
def model(images):
    quantized = quantize(float_net(), double_rounding())
    quantized.calibrate([images])
    return quantized


@pytest.fixture
def batches(images):
    targets = torch.arange(COUNT) % 5
    whole = Batch(images, targets, torch.arange(COUNT))
    return lambda: (Batch(*parts) for parts in zip(*(part.split(4) for part in whole), strict=True))


def policy_of(model):
    return {name: (8, 2) if k % 2 else (4, 4) for k, name in enumerate(model.layers)}


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(state, other):
    assert all(torch.equal(value, other[name]) for name, value in state.items())


def test_top1_and_loss_are_means_over_images_not_over_batches(model, batches, images):
    found = evaluate_policy(model, TASK, policy_of(model), batches)
    with torch.no_grad(), model.eval().at(policy_of(model)):
        logits = model(images)
    targets = torch.arange(COUNT) % 5
    hits = int((logits.argmax(1) == targets).sum())
    assert found.merit == pytest.approx(100 * hits / COUNT)
    assert found.loss == pytest.approx(float(cross_entropy(logits, targets)), rel=1e-5)
    assert found.error == 100 - found.merit


def test_the_model_is_left_in_evaluation_mode_at_its_policy(model, batches):
    model.train()
    model.switch(2)
    before = state_of(model)
    evaluate_policy(model, TASK, policy_of(model), batches)
    assert not any(module.training for module in model.modules())
    assert {layer.weight_switch.bits for layer in model.layers.values()} == {2}
    assert_same(before, state_of(model))


@pytest.mark.parametrize("shared", [False, True])
def test_recalibration_counts_for_one_evaluation_alone(images, batches, shared):
    method = EqNet(EqNet.Options(), BITSET) if shared else double_rounding()
    model = quantize(float_net(), method)
    model.calibrate([images])
    policy, plain = policy_of(model), evaluate_policy(model, TASK, policy_of(model), batches)
    before = state_of(model)
    recalibrated = evaluate_policy(model, TASK, policy, batches, lambda: iter([images]))
    assert recalibrated.loss != plain.loss
    assert_same(before, state_of(model))
    assert evaluate_policy(model, TASK, policy, batches) == plain
    assert evaluate_policy(model, TASK, policy, batches, lambda: iter([images])) == recalibrated
    recalibrated_at(model, policy, lambda: iter([images]))
    assert evaluate_policy(model, TASK, policy, batches) == recalibrated


def test_statistics_are_as_before_even_where_recalibration_fails(model, batches, images):
    def fail():
        yield images
        raise RuntimeError("no more images")

    before = state_of(model)
    with pytest.raises(RuntimeError, match="no more"):
        evaluate_policy(model, TASK, policy_of(model), batches, fail)
    assert_same(before, state_of(model))
    assert not any(module.training for module in model.modules())


def test_a_network_without_batch_norm_needs_no_recalibration(images):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    net.append(nn.Linear(4 * 64, 5))
    model = quantize(net, double_rounding())
    model.calibrate([images])
    whole = [Batch(images, torch.zeros(COUNT, dtype=torch.int64), torch.arange(COUNT))]
    plain = evaluate_policy(model, TASK, 4, lambda: iter(whole))
    assert evaluate_policy(model, TASK, 4, lambda: iter(whole), lambda: iter([images])) == plain


class Sorted(OpenDataset):
    """Images sorted by class, each as its own number."""

    def __init__(self, size):
        self.count = size
        self.asked = []

    def size(self, split):
        assert split == "held_out"
        return self.count

    def batches(self, split, batch_size):
        for indices in torch.arange(self.count).split(batch_size):
            yield Batch(indices.float(), indices // 100, indices)

    def train_batches(self, batch_size, stream, seed, skip):
        self.asked.append((batch_size, stream, seed, skip))
        for number in range(5):
            yield Batch(torch.full((batch_size,), float(number)), None, None)


@pytest.mark.parametrize(
    ("size", "images", "count"),
    [(600, None, 600), (600, 600, 600), (600, 9999, 600), (600, 100, 100), (600, 400, 300)],
)
def test_so_many_images_evenly_spread(size, images, count):
    taken = torch.cat([b.indices for b in batches_of(Sorted(size), "held_out", images)()])
    assert len(taken) == count
    assert taken.diff().unique().tolist() == [size // count]


def test_no_batch_is_empty_where_few_images_are_taken():
    found = list(batches_of(Sorted(8 * TASK.batch_size), "held_out", 2)())
    assert [len(batch.targets) for batch in found] == [1, 1]


def test_batches_are_as_large_as_the_task_says():
    found = list(batches_of(Sorted(10), "held_out", None, 4)())
    assert [len(batch.targets) for batch in found] == [4, 4, 2]


def test_recalibration_sees_the_same_training_batches_every_time(run):
    dataset = Sorted(9)
    give = recalibration_inputs(dataset, run, 3)
    for _ in range(2):
        assert [float(images[0]) for images in give()] == [0.0, 1.0, 2.0]
    (size, stream, seed, skip), again = dataset.asked
    assert (size, seed, skip) == (run.training.batch_size, run.seed, 0)
    assert stream == Stream("recalibration")
    assert again == dataset.asked[0]
