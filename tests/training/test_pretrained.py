import pytest
import torch
from torch import nn

from bitswitch.contracts.data import Batch, OpenDataset
from bitswitch.errors import WeightsError
from bitswitch.tasks.classification import Classification
from bitswitch.training.build import Parts, start_model
from bitswitch.training.pretrained import check_pretrained

CPU = torch.device("cpu")


class Shown(OpenDataset):
    """Every image shows its class; ``numbers`` says which target that is."""

    def __init__(self, numbers):
        self.numbers = numbers

    def size(self, split):
        return 500

    def train_batches(self, batch_size, stream, seed, skip):
        shown = torch.arange(batch_size) % 10
        yield Batch(shown.float().view(-1, 1, 1, 1), self.numbers[shown], torch.arange(batch_size))


class Reads(nn.Module):
    """Says which class an image shows."""

    def forward(self, images):
        return nn.functional.one_hot(images.flatten().long(), 10).float()


def test_weights_that_recognise_their_classes_pass(tiny_run):
    check_pretrained(Reads(), tiny_run(), Classification(), 10, Shown(torch.arange(10)), CPU)


def test_classes_in_another_order_are_noticed(tiny_run):
    moved = torch.arange(10).roll(1)
    with pytest.raises(
        WeightsError, match=r"Top-1 of 0.00 % on 64 training examples(.|\n)*same order"
    ):
        check_pretrained(Reads(), tiny_run(), Classification(), 10, Shown(moved), CPU)


def test_a_run_that_starts_from_published_weights_tries_them(tmp_path, tiny_run, tiny_data):
    parts = Parts.of(tiny_run())
    data = parts.open(tiny_data, CPU)
    start_model(parts, tmp_path, data, CPU)  # random weights are not tried
    parts.model.pretrained = True
    with pytest.raises(WeightsError, match="no better than guessing"):
        start_model(parts, tmp_path, data, CPU)
    full = Parts.of(tiny_run(bitset=(32,)))
    full.model.pretrained = True
    start_model(full, tmp_path, full.open(tiny_data, CPU), CPU)  # training will tell
