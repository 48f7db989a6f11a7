"""Tests of training in several processes: of ``Ranks``, of steps, of evaluations."""

import pytest
import torch

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.contracts.task import Evaluator
from bitswitch.errors import SpecError
from bitswitch.plugins import registry
from bitswitch.runtime.randomness import generator, seeded
from bitswitch.runtime.ranks import ALONE, Ranks
from bitswitch.spec.training import TrainingSpec
from bitswitch.tasks.classification import Classification, Hits
from bitswitch.testing.subject import (
    CLASSES,
    IMAGES,
    PICTURES,
    Subject,
    double_precision,
    quantized,
    step_info,
)
from bitswitch.training.distillation import Distillation
from bitswitch.training.evaluation import evaluate
from bitswitch.training.shares import Share
from bitswitch.training.state import TrainState
from bitswitch.training.step import train_step
from tests.recipes import first_accepted, in_turn
from tests.training.several import together

LOADED = {name: registry.load("methods", name) for name in registry.names("methods")}
METHODS = [
    name for name, method in LOADED.items() if method.trains and not method.needs_whole_batch
]
LONG = 50
"""Steps."""


class Seven(OpenDataset):
    """Seven images in batches; class 0 is right at even places."""

    def size(self, split):
        return 7

    def batches(self, split, batch_size):
        indices = torch.arange(7)
        for part in torch.split(indices, batch_size):
            yield Batch(part, part % 2, part)


class Net(torch.nn.Module):
    """Says class 0, and is unsure by the image."""

    bitset = (4, 2)

    def __init__(self):
        super().__init__()
        self.sure = torch.nn.Parameter(torch.ones(()))

    def switch(self, bits):
        self.bits = bits

    def forward(self, x):
        return torch.stack([self.sure + x / self.bits, 0 * x], dim=1)


class Unmergeable(Evaluator):
    def __init__(self, task):
        self.inner = Hits(task)

    def add(self, outputs, targets):
        self.inner.add(outputs, targets)

    def result(self):
        return self.inner.result()


class Stranger(Classification):
    """A task whose evaluators cannot be merged."""

    batch_size = 2

    def evaluator(self):
        return Unmergeable(self)


def learner(name, turn, ranks):
    """Return what trains a method by the first recipe that it accepts, from ``turn`` on."""
    subject = Subject.of(name)
    recipes = [{**one, "batch_norm": "sync"} for one in in_turn(turn)]
    training = first_accepted(subject.spec, recipes)
    method = subject.method()
    model = quantized(method)
    if name != "float32":
        model.calibrate([PICTURES.batch().inputs])
    memory = Distillation(training, IMAGES, CLASSES, ranks=ranks)
    return TrainState.of(method, model.train(), training, memory, ranks)


def share_of(batch, ranks):
    return Batch(*(values[ranks.part(len(batch.targets))] for values in batch))


def trained(name, turn, ranks, steps, nudge=None):
    """Return the losses of some steps of a method, and what its parameters add up to.

    Where there is a ``nudge``, every weight begins one unit in the last place beside itself.
    """
    with double_precision():
        train_state = learner(name, turn, ranks)
        for values in () if nudge is None else train_state.model.parameters():
            away = torch.randn(values.shape, generator=generator("nudge", nudge))
            values.data.copy_(values.nextafter(values + away))
        losses = []
        for step in range(steps):
            share = share_of(PICTURES.batch(step % 3), ranks)
            rate = train_state.training.learning_rate
            with seeded("check step", step):
                results = train_step(train_state, share, rate, step_info(step, steps))
            losses += [one.loss for one in results]
        parameters = train_state.model.parameters()
        return losses, float(sum(one.detach().abs().sum() for one in parameters))


def methods(ranks, steps=5):
    return {name: trained(name, at, ranks, steps) for at, name in enumerate(METHODS)}


def methods_for_long(ranks):
    return methods(ranks, LONG)


def distance(losses, others):
    """Return the largest relative difference of two trainings."""
    return max(abs(one - other) / abs(one) for one, other in zip(losses, others, strict=True))


def apart(ranks):
    """Return the loss of a step whose batch norms are not synchronized."""
    train_state = learner("float32", 3, ranks)
    for norm in train_state.model.modules():
        norm.__dict__.pop("forward", None)
    share = share_of(PICTURES.batch(), ranks)
    return train_step(train_state, share, 1e-3, step_info())[0].loss


def messages(ranks):
    values = [torch.tensor([1.0, ranks.rank]), torch.tensor(ranks.rank), torch.ones(2)]
    ranks.total(values)
    mean = torch.tensor([float(ranks.rank)])
    ranks.average([mean])
    sent = [torch.full((2,), ranks.rank + 5.0)]
    ranks.broadcast(sent)
    leaf = torch.tensor([ranks.rank + 2.0], requires_grad=True)
    (ranks.summed(leaf) ** 2 * (1 + ranks.rank)).backward()
    joined = ranks.joined(torch.tensor([[ranks.rank, 9]]))
    told = ranks.gathered({"rank": ranks.rank}, torch.device("cpu"))
    return [*(one.tolist() for one in (*values, mean, *sent, leaf.grad, joined)), told]


def evaluations(ranks):
    """Return what every kind of task finds in seven images, in batches of every size."""
    found = {}
    for kind in (Classification, Stranger):
        for size in (1, 2, 7):
            task = kind()
            task.batch_size = size
            scores = evaluate(Net(), task, Seven(), "test", lambda: None, ranks)
            found[kind.__name__, size] = {
                bits: (dict(one.values), one.examples, list(one.correct["top1"]))
                for bits, one in scores.items()
            }
    return found


def remembered(ranks):
    """Return the targets of two epochs, and whether this rank remembers anything."""
    recipe = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "distillation": "ps-kd"}
    memory = Distillation(TrainingSpec(**recipe), images=4, classes=3, ranks=ranks)
    said = []
    for epoch, order in enumerate(([3, 1, 0, 2], [0, 1, 2, 3])):
        places = torch.tensor(order)
        whole = Batch(torch.zeros(4, 1), places % 3, places)
        said.append(ranks.joined(memory.targets(share_of(whole, ranks), epoch)).tolist())
        memory.remember(3 * torch.eye(4, 3)[places][ranks.part(4)], epoch)
    return said, memory.memory is not None


WORK = (methods, apart, messages, evaluations, remembered)


def everything(ranks):
    return {work.__name__: work(ranks) for work in WORK}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what each of two processes finds, by name of the work."""
    first, second = together(2, everything, tmp_path_factory.mktemp("ranks"))
    return {name: (first[name], second[name]) for name in first}


def test_two_processes_train_what_one_does(found):
    first, second = found["methods"]
    assert first == second
    for name, (losses, _) in methods(ALONE).items():
        assert distance(losses, first[name][0]) < 1e-9, name


@pytest.mark.long
def test_two_processes_train_for_long_what_one_does(tmp_path):
    """Where a last digit takes a weight across a threshold, one process shows it too."""
    first, second = together(2, methods_for_long, tmp_path)
    assert first == second
    for at, (name, (losses, _)) in enumerate(methods_for_long(ALONE).items()):
        found = distance(losses, first[name][0])
        if found > 1e-5:
            nudged = [trained(name, at, ALONE, LONG, nudge)[0] for nudge in range(3)]
            assert found < 3 * max(distance(losses, other) for other in nudged), name


def test_without_synchronized_batch_norms_shares_are_normalised_apart(found):
    first, second = found["apart"]
    assert first == second
    assert first != pytest.approx(apart(ALONE), rel=1e-4)


def test_messages_reach_all(found):
    first, second = found["messages"]
    told = [{"rank": 0}, {"rank": 1}]
    gradient = [2 * (2 + 3) * (1 + 2.0)]  # the loss of either rank depends on both shares
    joined = [[0, 9], [1, 9]]
    assert first == [[2.0, 1.0], 1, [2.0, 2.0], [0.5], [5.0, 5.0], gradient, joined, told]
    assert first == second


def test_every_example_is_evaluated_once(found):
    first, second = found["evaluations"]
    assert first == second
    for case, alone in evaluations(ALONE).items():
        for bits, (values, examples, right) in alone.items():
            assert (examples, right) == (7, [1, 0, 1, 0, 1, 0, 1])
            assert first[case][bits][1:] == (examples, right)
            assert first[case][bits][0] == pytest.approx(values, rel=1e-12)


def test_the_leading_rank_remembers_for_all(found):
    (first, leads), (second, follows) = found["remembered"]
    assert (leads, follows) == (True, False)
    assert first == second
    alone, _ = remembered(ALONE)
    assert torch.tensor(first).allclose(torch.tensor(alone))


def test_each_process_sends_from_its_own_gpu(monkeypatch):
    """NCCL refuses two processes on one GPU, the first of all unless another one is set."""
    done = []
    group = torch.distributed
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(group, "init_process_group", lambda kind, timeout: done.append(kind))
    monkeypatch.setattr(group, "get_rank", lambda: 1)
    monkeypatch.setattr(group, "get_world_size", lambda: 2)
    monkeypatch.setattr(group, "destroy_process_group", lambda: done.append("end"))
    device = torch.device("cuda:1")
    with Ranks.joined_on(device) as ranks:
        assert (ranks.rank, ranks.count) == (1, 2)
    assert done == [device, "nccl", "end"]


def test_a_method_that_needs_whole_batches_is_refused():
    with pytest.raises(SpecError, match=r"L1Regularization looks at the whole batch, and 2"):
        learner("l1-regularization", 3, Ranks(0, 2))


def test_what_does_not_divide_is_refused_with_what_does():
    with pytest.raises(SpecError, match=r"128 does not divide among 3 .*\n.*: 1, 2\."):
        Ranks(0, 3).equal_share(128)
    assert Ranks(2, 4).equal_share(128) == 32


@pytest.mark.parametrize(("accumulate", "count", "parts"), [(1, 8, 1), (8, 2, 4), (3, 2, 2)])
def test_parts_of_a_share_are_no_larger_than_those_of_a_batch(accumulate, count, parts):
    assert Ranks(0, count).parts(accumulate) == parts


def test_shares_of_training_batches_are_their_parts():
    class Whole(OpenDataset):
        def train_batches(self, batch_size, stream, seed, skip):
            for start in range(skip * batch_size, 8, batch_size):
                part = torch.arange(start, start + batch_size)
                yield Batch(part, part, part)

    shares = [Share(Whole(), Ranks(rank, 2)) for rank in (0, 1)]
    found = [
        [one.inputs.tolist() for one in share.train_batches(4, None, 0, 1)] for share in shares
    ]
    assert found == [[[4, 5]], [[6, 7]]]
