"""Crops of pictures: what networks see of one, at random to train, from its centre otherwise.

Everything random about a training image depends on (seed, epoch, index) alone, not on the process
that decodes it or on what was decoded before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bitswitch.data.pixels import Normalise
from bitswitch.runtime.randomness import seeded
from bitswitch.types import Strict

if TYPE_CHECKING:
    from PIL.Image import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of ImageNet's training images that all published weights expect (torchvision)."""

Crop = Callable[["Image"], Tensor]
"""Makes uint8 [3, crop, crop] of an image of any size."""
Key = tuple[int, ...]
"""Seed of a run and key of a stream, for random crops; empty where nothing is random."""


class FolderOptions(Strict):
    """Crops of the pipeline; defaults are those of the published ImageNet results."""

    crop: Annotated[int, Field(ge=8)] = 224
    """Height and width that the network sees."""
    resize: Annotated[int, Field(ge=8)] = 256
    """Length of the shorter side before the centre crop of evaluation."""
    smallest_area: Annotated[float, Field(gt=0, le=1)] = 0.08
    """Smallest share of the area that a random training crop covers."""
    flip: bool = True
    """Whether training images are mirrored at random."""


class Pictures(Protocol):
    """Pictures of one split by class, then name, wherever they lie."""

    @property
    def names(self) -> np.ndarray[Any, Any]:
        """Bytes [n], ``<class>/<file>``."""

    @property
    def targets(self) -> np.ndarray[Any, Any]:
        """int64 [n]."""

    def take(self, chosen: np.ndarray[Any, Any]) -> Self:
        """Return the pictures where ``chosen`` [n] is true."""

    def size(self, limit: int) -> int:
        """Return the bytes of all; stops counting beyond ``limit``."""

    def picture(self, index: int, remedy: str) -> "Image":
        """Return picture ``index``, RGB.

        Args:
            index: In this split.
            remedy: What to do about one that cannot be read.

        Raises:
            DatasetError: it cannot be read.
        """


class Pixels(NamedTuple):
    """A batch of crops, ready for the network but for its brightness."""

    pixels: Tensor
    """uint8 [n, 3, crop, crop]."""
    targets: Tensor
    indices: Tensor

    def on(self, device: torch.device) -> "Pixels":
        """Return the same on ``device``."""
        return Pixels(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class Crops:
    """Cropped pictures of one split."""

    files: Pictures
    transform: Crop
    remedy: str
    kept: "Sequence[Image] | None" = None
    """All images, decoded; None: decode each time."""

    def __len__(self) -> int:
        return len(self.files.names)

    def batch(self, indices: Sequence[int], key: Key) -> Pixels:
        """Return the crops of ``indices``; random ones follow from ``key`` and index."""
        return Pixels(
            torch.stack(list(self._pixels(indices, key))),
            torch.from_numpy(self.files.targets[list(indices)]),
            torch.tensor(indices),
        )

    def _pixels(self, indices: Sequence[int], key: Key) -> Iterator[Tensor]:
        for index in indices:
            image = self.kept[index] if self.kept else self.files.picture(index, self.remedy)
            with seeded("image", *key, index):
                yield self.transform(image)

    def keep(self) -> "Crops":
        """Return the same with every image decoded once and for all."""
        kept = [self.files.picture(index, self.remedy) for index in range(len(self))]
        return replace(self, kept=kept)


def training_crop(options: FolderOptions) -> Crop:
    """Return the random crop and mirroring of a training image."""
    from torchvision.transforms import v2

    crop: Crop = v2.Compose([*training_transforms(options), v2.PILToTensor()])
    return crop


def training_transforms(options: FolderOptions) -> tuple[Any, Any]:
    """Return torchvision's random crop, and its random mirroring, which draws after it."""
    from torchvision.transforms import v2

    return (
        v2.RandomResizedCrop(options.crop, scale=(options.smallest_area, 1.0)),
        v2.RandomHorizontalFlip(0.5 if options.flip else 0.0),
    )


def evaluation_crop(options: FolderOptions) -> Crop:
    """Return the resize and centre crop of an image that is not trained on."""
    from torchvision.transforms import v2

    steps = [v2.Resize(options.resize), v2.CenterCrop(options.crop), v2.PILToTensor()]
    crop: Crop = v2.Compose(steps)
    return crop


def cropped(image: "Image", options: FolderOptions) -> Tensor:
    """Return a picture as evaluation sees it, normalised, float32 [3, crop, crop]."""
    pixels = evaluation_crop(options)(image)
    return Normalise(MEAN, STD, torch.device("cpu"))(pixels[None])[0]
