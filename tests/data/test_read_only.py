"""Complete data may lie where nobody can write: opening them changes nothing beside them."""

import pytest
import torch

from bitswitch.contracts.streams import Stream
from bitswitch.plugins import registry

CPU = torch.device("cpu")
SMALL = {"size": 8, "train": 60, "held_out": 20, "test": 40}
SMALL_FILES = SMALL | {"crop": 8, "resize": 10}


def use(dataset, root):
    """Do what the workflow and a run do with data that are there."""
    dataset.prepare(root)
    dataset.check(root)
    data = dataset.open(root, CPU)
    next(data.train_batches(4, Stream("training"), 0, 0))
    assert next(iter(data.batches("test", 4))).inputs.shape[0] == 4


@pytest.mark.parametrize(("name", "options"), [("digits", SMALL), ("digits-folder", SMALL_FILES)])
def test_data_that_are_made_are_made_once(tmp_path, read_only, name, options):
    dataset = registry.create("datasets", name, options)
    dataset.prepare(tmp_path)
    with read_only(tmp_path):
        use(dataset, tmp_path)


def test_cifar10(cifar_root, read_only):
    dataset = registry.create("datasets", "cifar10", {"held_out": 20})
    with read_only(cifar_root):
        use(dataset, cifar_root)


def test_writing_would_be_seen(tmp_path, read_only):
    dataset = registry.create("datasets", "digits", SMALL)
    with pytest.raises(AssertionError, match="digits"), read_only(tmp_path):
        dataset.prepare(tmp_path)
