"""Random training crops of packed pictures: cut out where they are decoded, resized on the device.

Box and mirroring are drawn as for the original picture, of its size, from the same random numbers;
the box is then carried over to the size that is stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bitswitch.data.crops import Key, Pixels
from bitswitch.data.packed.shards import Shards
from bitswitch.runtime.randomness import seeded


class Box(NamedTuple):
    """A part of a picture, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    def carried_over(self, original: tuple[int, int], stored: tuple[int, int]) -> "Box":
        """Return the box for a picture that is stored in another size, to the nearest pixel.

        >>> Box(50, 0, 75, 101, True).carried_over((400, 300), (200, 150))
        Box(top=25, left=0, height=37, width=50, mirrored=True)

        Args:
            original: Width and height that the box was drawn for.
            stored: Width and height.
        """
        top, height = _carried_over(self.top, self.height, original[1], stored[1])
        left, width = _carried_over(self.left, self.width, original[0], stored[0])
        return Box(top, left, height, width, self.mirrored)


def _carried_over(first: int, length: int, original: int, stored: int) -> tuple[int, int]:
    start = min(round(first * stored / original), stored - 1)
    end = round((first + length) * stored / original)
    return start, max(end - start, 1)


class Boxes(NamedTuple):
    """Parts of pictures, of any sizes, on their way to the device."""

    pixels: Tensor
    """uint8, height x width x 3 of one after the other."""
    sizes: Tensor
    """int64 [n, 2], height and width; stays on the CPU."""
    mirrored: Tensor
    """bool [n]; stays on the CPU."""
    targets: Tensor
    indices: Tensor
    crop: Tensor
    """int64 [], height and width that the network sees; stays on the CPU."""

    def on(self, device: torch.device) -> Pixels:
        """Return the parts on ``device``, resized there and mirrored.

        One after the other: so the pixels of a picture depend on no other one of the batch, and
        are the same in every process's share of it.
        """
        pixels, targets, indices = (
            part.to(device, non_blocking=True) for part in (self.pixels, self.targets, self.indices)
        )
        crop = int(self.crop)
        out = torch.empty(len(indices), 3, crop, crop, dtype=torch.uint8, device=device)
        parts, mirrored = self._parts(pixels), self.mirrored.tolist()
        for image, part, is_mirrored in zip(out, parts, mirrored, strict=True):
            seen = resized(part, crop)
            image.copy_(seen.flip(2) if is_mirrored else seen)
        return Pixels(out, targets, indices)

    def _parts(self, pixels: Tensor) -> Iterator[Tensor]:
        """Yield views, uint8 [3, height, width]."""
        start = 0
        for height, width in self.sizes.tolist():
            end = start + height * width * 3
            yield pixels[start:end].view(height, width, 3).permute(2, 0, 1)
            start = end


def resized(pixels: Tensor, crop: int) -> Tensor:
    """Return uint8 [3, height, width] at ``crop`` x ``crop``, bilinear with antialiasing."""
    from torchvision.transforms.v2 import functional

    out: Tensor = functional.resize(pixels, [crop, crop], antialias=True)
    return out


@dataclass(frozen=True)
class BoxedCrops:
    """Random training crops of one split of packed pictures."""

    files: Shards
    transforms: tuple[Any, Any]
    """Random crop, and random mirroring, of torchvision."""
    remedy: str

    def __len__(self) -> int:
        return len(self.files.names)

    def keep(self) -> "BoxedCrops":
        """Return the same: shards lie in the memory of files that were read."""
        return self

    def batch(self, indices: Sequence[int], key: Key) -> Boxes:
        """Return random parts of pictures, which follow from ``key`` and index."""
        boxes = [self.box(index, key) for index in indices]
        parts = [
            self.files.pixels(index, self.remedy)[
                :, box.top : box.top + box.height, box.left : box.left + box.width
            ]
            for index, box in zip(indices, boxes, strict=True)
        ]
        return Boxes(
            torch.cat([part.permute(1, 2, 0).reshape(-1) for part in parts]),
            torch.tensor([(box.height, box.width) for box in boxes]),
            torch.tensor([box.mirrored for box in boxes]),
            torch.from_numpy(self.files.targets[list(indices)]),
            torch.tensor(indices),
            torch.tensor(self.transforms[0].size[0]),
        )

    def box(self, index: int, key: Key) -> Box:
        """Return the part of picture ``index``, as it is stored, that is trained on."""
        original = self.files.original_size(index)
        crop, flip = self.transforms
        with seeded("image", *key, index):
            shape = torch.empty(3, original[1], original[0], device="meta")
            drawn = crop.make_params([shape])
            mirrored = bool(torch.rand(1) < flip.p)  # as RandomHorizontalFlip draws
        return Box(**drawn, mirrored=mirrored).carried_over(original, self.files.stored_size(index))
