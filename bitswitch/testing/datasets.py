"""Checks of a dataset, without its data."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from bitswitch.contracts.data import Dataset
from bitswitch.errors import DatasetError
from bitswitch.testing.failure import CheckFailed, require

SPLITS = {"train", "held_out", "test"}
LINES = 5
"""A message has no more."""


def it_is_described_without_data(dataset: Dataset) -> None:
    """Shape, sizes, classes and stamp are known without the data."""
    channels, height, width = dataset.shape()
    require(
        channels == 3 and min(height, width) >= 8,
        f"shape() is {(channels, height, width)}.",
        "Return (3, height, width) as the network sees images, 8 by 8 pixels at least.",
    )
    sizes = dataset.sizes()
    require(
        sizes.keys() == SPLITS and min(sizes.values()) > 0,
        f"sizes() is {sizes}.",
        f"Return how many images each of {', '.join(sorted(SPLITS))} has.",
    )
    require(dataset.outputs >= 2, f"outputs is {dataset.outputs}.", "Say how many there are.")
    require(bool(dataset.stamp), "stamp is empty.", "Say what tables should call the data.")


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
    missing_data_are_one_clear_message,
)
"""Each raises ``CheckFailed``."""
