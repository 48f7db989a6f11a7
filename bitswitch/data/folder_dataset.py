"""What datasets of image files in one folder per class share."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from bitswitch.contracts.data import Batch, Dataset, OpenDataset
from bitswitch.data.crops import FolderOptions, Pictures, cropped
from bitswitch.data.folder import FolderData, carve
from bitswitch.data.pixels import noise
from bitswitch.tasks.classification import Classification

if TYPE_CHECKING:
    from PIL.Image import Image


class FolderDataset(Dataset):
    """Classification of image files: ``train``, of which a part is held out, and ``val``."""

    task = Classification()
    remedy: ClassVar[str]
    """What to do about missing or damaged files."""
    options: FolderOptions

    @abstractmethod
    def verify(self, root: Path) -> Mapping[str, Pictures]:
        """Return the pictures of ``train`` and ``val`` below ``root``.

        Raises:
            DatasetError: some are missing or laid out wrongly.
        """

    def example(self, count: int, generator: torch.Generator) -> Batch:
        return noise(count, self.options.crop, self.outputs, generator)

    def network_input(self, image: "Image") -> Tensor:
        return cropped(image, self.options)

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        found = self.verify(root)
        train, held_out = carve(found["train"], self.sizes()["held_out"] // self.outputs)
        splits = {"train": train, "held_out": held_out, "test": found["val"]}
        return FolderData(splits, self.options, device, self.remedy)
