"""``digits``: real handwriting rendered as small colour images; needs no download."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from bitswitch.contracts.data import Batch, Dataset, OpenDataset
from bitswitch.data import files
from bitswitch.data.memory import InMemory, Split, Transform
from bitswitch.data.pixels import noise, scaled
from bitswitch.data.rendering import CLASSES, RENDERING, SPLITS, render
from bitswitch.errors import DatasetError
from bitswitch.runtime.cache import digest
from bitswitch.tasks.classification import Classification
from bitswitch.types import Strict

if TYPE_CHECKING:
    from PIL.Image import Image

REMEDY = files.prepare_again("digits")
LOOK = Transform(mean=(0.43, 0.43, 0.43), std=(0.31, 0.31, 0.31), padding=1, flip=False)
"""Round numbers near the statistics of the training images; a mirrored digit is no digit."""

Count = Annotated[int, Field(ge=CLASSES)]


class Digits(Dataset):
    """Scanned digits, jittered, on textured paper, with a distractor.

    The three splits are rendered from disjoint sets of scans.
    """

    source = "alpaydin1998optical"
    task = Classification()
    outputs = CLASSES

    class Options(Strict):
        """What is rendered."""

        size: Annotated[int, Field(ge=8, le=256)] = 16
        """Height and width in pixels."""
        train: Count = 3600
        """Training images, the held-out ones not counted."""
        held_out: Count = 400
        test: Count = 1000
        difficulty: NonNegativeFloat = 1.0
        """Strength of jitter, texture and distractor; 0 leaves plain digits."""

    options: Options

    @property
    def stamp(self) -> str:  # type: ignore[override]
        """What tables say of the data."""
        return f"embedded digits {self.options.size}x{self.options.size}"

    def example(self, count: int, generator: torch.Generator) -> Batch:
        return noise(count, self.options.size, self.outputs, generator)

    def sizes(self) -> dict[str, int]:
        return {split: getattr(self.options, split) for split in SPLITS}

    def path(self, root: Path) -> Path:
        """Return the file below ``root`` that holds the images for these options."""
        return root / f"digits-{digest(RENDERING, self.options.model_dump())[:8]}.npz"

    def prepare(self, root: Path) -> None:
        try:
            self.check(root)
        except DatasetError:  # missing or damaged
            files.save_arrays(self.path(root), self._render())

    def _render(self) -> dict[str, np.ndarray[Any, Any]]:
        arrays = {}
        for split, count in self.sizes().items():
            rendered = render(split, count, self.options.size, self.options.difficulty)
            arrays[f"{split}_images"] = rendered.images.numpy()
            arrays[f"{split}_targets"] = rendered.targets.numpy()
        return arrays

    def check(self, root: Path) -> dict[str, str]:
        arrays = files.load_arrays(self.path(root), REMEDY)
        counts = {split: str(len(arrays[f"{split}_targets"])) for split in SPLITS}
        return {"file": str(self.path(root)), "sha256": files.content_hash(arrays), **counts}

    def network_input(self, image: "Image") -> Tensor:
        return scaled(image, self.options.size, LOOK.mean, LOOK.std)

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        arrays = files.load_arrays(self.path(root), REMEDY)
        splits = {
            split: Split(
                torch.from_numpy(arrays[f"{split}_images"]),
                torch.from_numpy(arrays[f"{split}_targets"]),
            )
            for split in SPLITS
        }
        return InMemory(splits, LOOK, device)
