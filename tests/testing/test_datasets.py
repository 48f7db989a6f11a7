import pytest

from bitswitch.contracts.data import Dataset
from bitswitch.errors import DatasetError
from bitswitch.tasks.classification import Classification
from bitswitch.testing import CheckFailed
from bitswitch.testing.datasets import (
    DATASET_CHECKS,
    it_is_described_without_data,
    missing_data_are_one_clear_message,
)
from bitswitch.types import Strict


class Small(Dataset):
    task = Classification()
    outputs = 2
    stamp = "small"
    text = "{root} has no data.\n  Make them: bitswitch data prepare small"

    def shape(self):
        return 3, 8, 8

    def sizes(self):
        return {"train": 8, "held_out": 2, "test": 2}

    def check(self, root):
        raise DatasetError(self.text.format(root=root))

    def open(self, root, device):
        return self.check(root)


def changed(**attributes):
    return type("Changed", (Small,), attributes)


DESCRIPTIONS = {
    "grey": (changed(shape=lambda self: (1, 8, 8)), r"shape\(\) is \(1, 8, 8\)"),
    "tiny": (changed(shape=lambda self: (3, 8, 4)), r"shape\(\) is \(3, 8, 4\)"),
    "no test split": (changed(sizes=lambda self: {"train": 8}), r"sizes\(\) is"),
    "empty": (changed(sizes=lambda self: {"train": 8, "held_out": 0, "test": 2}), r"sizes\(\)"),
    "one class": (changed(outputs=1), "outputs is 1"),
    "no stamp": (changed(stamp=""), "stamp is empty"),
}


@pytest.mark.parametrize(("dataset", "message"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_wrong_description_is_told(dataset, message):
    with pytest.raises(CheckFailed, match=message):
        it_is_described_without_data(dataset(Strict()))


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
