import pytest
import torch

from bitswitch.contracts.data import Batch, Dataset
from bitswitch.data.pixels import noise
from bitswitch.errors import DatasetError
from bitswitch.tasks.classification import Classification
from bitswitch.testing import CheckFailed
from bitswitch.testing.datasets import (
    DATASET_CHECKS,
    examples_can_be_made_up,
    it_is_described_without_data,
    its_task_is_described,
    missing_data_are_one_clear_message,
)
from bitswitch.types import Strict


class Small(Dataset):
    task = Classification()
    outputs = 2
    stamp = "small"
    text = "{root} has no data.\n  Make them: bitswitch data prepare small"

    def example(self, count, generator):
        return noise(count, 8, self.outputs, generator)

    def sizes(self):
        return {"train": 8, "held_out": 2, "test": 2}

    def check(self, root):
        raise DatasetError(self.text.format(root=root))

    def open(self, root, device):
        return self.check(root)


def changed(**attributes):
    return type("Changed", (Small,), attributes)


DESCRIPTIONS = {
    "no test split": (changed(sizes=lambda self: {"train": 8}), r"sizes\(\) is"),
    "empty": (changed(sizes=lambda self: {"train": 8, "held_out": 0, "test": 2}), r"sizes\(\)"),
    "one class": (changed(outputs=1), "outputs is 1"),
    "no stamp": (changed(stamp=""), "stamp is empty"),
}


@pytest.mark.parametrize(("dataset", "message"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_wrong_description_is_told(dataset, message):
    with pytest.raises(CheckFailed, match=message):
        it_is_described_without_data(dataset(Strict()))


def of(*metrics):
    return type("Own", (Classification,), {"metrics": metrics})()


def images(*shape):
    def example(self, count, generator):
        return Batch(torch.zeros(count, *shape), torch.zeros(count), torch.arange(count))

    return example


def random_labels(self, count, generator):
    return noise(count, 8, 2, generator)._replace(targets=torch.rand(count))


TOP1, CROSS_ENTROPY = Classification.metrics
EXAMPLES = {
    "grey": (changed(example=images(1, 8, 8)), r"images of shape \(1, 8, 8\)"),
    "tiny": (changed(example=images(3, 8, 4)), r"images of shape \(3, 8, 4\)"),
    "one too few": (
        changed(example=lambda self, count, generator: noise(count - 1, 8, 2, generator)),
        r"inputs of example\(3, ...\) have shape \[2, 3, 8, 8\] on cpu",
    ),
    "random": (changed(example=random_labels), r"targets of example\(3, ...\) differ"),
}
TASKS = {
    "no loss": (of(TOP1), "metrics of Own are top1"),
    "one twice": (of(TOP1, TOP1, CROSS_ENTROPY), "metrics of Own are top1, top1, loss"),
    "no direction": (of(TOP1._replace(better="larger"), CROSS_ENTROPY), "better='larger'"),
    "no unit": (of(TOP1._replace(unit=""), CROSS_ENTROPY), "unit=''"),
}


@pytest.mark.parametrize(("dataset", "message"), EXAMPLES.values(), ids=EXAMPLES)
def test_wrong_examples_are_told(dataset, message):
    with pytest.raises(CheckFailed, match=message):
        examples_can_be_made_up(dataset(Strict()))


@pytest.mark.parametrize(("task", "message"), TASKS.values(), ids=TASKS)
def test_a_wrong_task_is_told(task, message):
    with pytest.raises(CheckFailed, match=message):
        its_task_is_described(changed(task=task)(Strict()))


def test_examples_need_not_be_images():
    examples_can_be_made_up(changed(example=images(6))(Strict()))


MESSAGES = {
    "no folder": (changed(text="not there: bitswitch data check"), "an empty folder says: not"),
    "no command": (changed(text="{root} is empty"), "is empty"),
    "long": (changed(text="{root} bitswitch data check" + "\n" * 5 + "end"), "says 6 lines"),
    "silent": (changed(check=lambda self, root: {}), "finds nothing wrong"),
}


@pytest.mark.parametrize(("dataset", "message"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_that_does_not_help_is_told(dataset, message):
    with pytest.raises(CheckFailed, match=message):
        missing_data_are_one_clear_message(dataset(Strict()))


@pytest.mark.parametrize("check", DATASET_CHECKS)
def test_a_small_dataset_passes(check):
    check(Small(Strict()))
