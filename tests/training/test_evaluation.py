import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.errors import Interrupted
from bitswitch.tasks.classification import Classification
from bitswitch.training.evaluation import evaluate

COUNT = 10


class Fixed(OpenDataset):
    """Ten random images, in batches whose last is incomplete."""

    def __init__(self):
        draw = torch.Generator().manual_seed(1)
        self.images = torch.randn(COUNT, 3, 8, 8, generator=draw)
        self.targets = torch.randint(10, (COUNT,), generator=draw)

    def size(self, split):
        return COUNT

    def batches(self, split, batch_size):
        for start in range(0, COUNT, batch_size):
            part = slice(start, start + batch_size)
            yield Batch(self.images[part], self.targets[part], torch.arange(COUNT)[part])


@pytest.fixture
def model(make_learner, tiny_run):
    return make_learner(tiny_run()).model


def test_scores_are_those_of_all_images_at_once(model):
    dataset = Fixed()
    task = Classification()
    task.batch_size = 4
    scores = evaluate(model, task, dataset, "test", lambda: None)
    assert list(scores) == [8, 4, 2]
    for bits, score in scores.items():
        with model.at(bits), torch.no_grad():
            logits = model(dataset.images)
        hits = int((logits.argmax(1) == dataset.targets).sum())
        assert score.values["top1"] == 100 * hits / COUNT
        loss = float(cross_entropy(logits, dataset.targets))
        assert score.values["loss"] == pytest.approx(loss, rel=1e-5)


def test_evaluation_changes_nothing(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, Classification(), Fixed(), "test", lambda: None)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_evaluation_can_be_interrupted(model):
    def check():
        raise Interrupted("now")

    with pytest.raises(Interrupted):
        evaluate(model, Classification(), Fixed(), "test", check)
