"""Checks of a dataset, without its data."""

import tempfile
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import torch

from bitswitch.contracts.data import Batch, Dataset
from bitswitch.contracts.task import LOSS, Rows
from bitswitch.errors import DatasetError
from bitswitch.runtime.randomness import generator
from bitswitch.tasks.classification import Classification
from bitswitch.testing.failure import CheckFailed, require

SPLITS = {"train", "held_out", "test"}
LINES = 5
"""A message has no more."""


def it_is_described_without_data(dataset: Dataset) -> None:
    """Sizes, outputs and stamp are known without the data."""
    sizes = dataset.sizes()
    require(
        sizes.keys() == SPLITS and min(sizes.values()) > 0,
        f"sizes() is {sizes}.",
        f"Return how many examples each of {', '.join(sorted(SPLITS))} has.",
    )
    least = 2 if isinstance(dataset.task, Rows) else 1
    require(dataset.outputs >= least, f"outputs is {dataset.outputs}.", "Say how many there are.")
    require(bool(dataset.stamp), "stamp is empty.", "Say what tables should call the data.")


def examples_can_be_made_up(dataset: Dataset) -> None:
    """Without the data, there are made-up examples like real ones."""
    made, again = (dataset.example(3, generator("check")) for _ in range(2))
    for name, part, same in zip(Batch._fields, made, again, strict=True):
        require(
            len(part) == 3 and part.device.type == "cpu",
            f"{name} of example(3, ...) have shape {list(part.shape)} on {part.device}.",
            "Return as many as it is asked for, on the CPU; the first axis counts them.",
        )
        require(
            torch.equal(part, same),
            f"{name} of example(3, ...) differ from one call to the next.",
            "Draw them from the generator that it is given, and from nothing else.",
        )
    shape = tuple(made.inputs.shape[1:])
    is_image = isinstance(dataset.task, Classification) and len(shape) == 3
    require(
        not is_image or (shape[0] == 3 and min(shape[1:]) >= 8),
        f"example() has images of shape {shape}.",
        "Images to classify are (3, height, width), 8 by 8 pixels at least.",
    )


def its_task_is_described(dataset: Dataset) -> None:
    """Metrics have names of their own, the loss is one of them, and chance is a number or None."""
    task = dataset.task
    names = [metric.name for metric in task.metrics]
    require(
        LOSS in names and len(set(names)) == len(names),
        f"The metrics of {type(task).__name__} are {', '.join(names) or 'none'}.",
        f"Give each one name, the headline first, and add one called '{LOSS}': the mean loss.",
    )
    for metric in task.metrics:
        require(
            bool(metric.name.isidentifier() and metric.title and metric.unit)
            and metric.better in ("higher", "lower"),
            f"The metrics of {type(task).__name__} have {metric}.",
            "Say name (letters, digits, _), title, unit ('1' for none) and 'higher' or 'lower'.",
        )
    chance = task.chance_bound(dataset.outputs, dataset.sizes()["test"])
    require(
        chance is None or isfinite(chance),
        f"chance_bound() is {chance}.",
        "Return a number, or None where it is not known.",
    )


def missing_data_are_one_clear_message(dataset: Dataset) -> None:
    """Data that are not there are one message that says what to do."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        device = torch.device("cpu")
        for name, use in (("check", dataset.check), ("open", lambda at: dataset.open(at, device))):
            message = _message(name, use, root)
            require(
                folder in message and "bitswitch data" in message,
                f"{name}() of an empty folder says: {message}",
                "Name the folder, and the command to type: bitswitch data prepare, or check.",
            )
            require(
                len(message.splitlines()) <= LINES,
                f"{name}() of an empty folder says {len(message.splitlines())} lines.",
                f"Say it in {LINES} lines or less.",
            )


def _message(name: str, use: Callable[[Path], object], root: Path) -> str:
    """Return what ``use`` says of a folder that has no data."""
    try:
        use(root)
    except DatasetError as error:
        return str(error)
    raise CheckFailed(
        f"{name}() finds nothing wrong with an empty folder.",
        "Raise bitswitch.errors.DatasetError where the data are missing.",
    )


DATASET_CHECKS: tuple[Callable[[Dataset], None], ...] = (
    it_is_described_without_data,
    examples_can_be_made_up,
    its_task_is_described,
    missing_data_are_one_clear_message,
)
"""Each raises ``CheckFailed``."""
