"""How packed pictures are stored. A frozen vocabulary of three words."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator
from torch import Tensor

from bitswitch.data.pictures import read_picture

if TYPE_CHECKING:
    from PIL.Image import Image

ORIGINAL = "original"
SMALLEST_SIDE = 32
WORDS = f"{ORIGINAL}, jpeg-256-90 (shorter side, quality), raw-256 (shorter side)"
_ENCODED = re.compile(r"jpeg-(?P<jpeg_side>\d+)-(?P<quality>\d+)|raw-(?P<raw_side>\d+)")


class Form:
    """How a picture is stored; ``str()`` gives the word that a suite has for it."""

    def encoded(self, image: "Image", content: bytes) -> tuple[bytes, tuple[int, int]]:
        """Return what is stored of a picture, and its width and height there.

        Args:
            image: Decoded, RGB.
            content: Of its original file.
        """
        raise NotImplementedError

    def image(self, path: Path, content: bytes, size: tuple[int, int], remedy: str) -> "Image":
        """Return the picture that is stored as ``content``, RGB.

        Args:
            path: For messages.
            content: What was stored.
            size: Width and height.
            remedy: What to do about one that cannot be read.

        Raises:
            DatasetError: it cannot be read.
        """
        return read_picture(path, remedy, content)

    def pixels(self, stored: Tensor, size: tuple[int, int]) -> Tensor:
        """Return uint8 [3, height, width], channels last in memory, of ``stored``, uint8 [bytes].

        Args:
            stored: May be a view of a file.
            size: Width and height.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Original(Form):
    """The bytes of the original file: every number comes out as it does from that."""

    def __str__(self) -> str:
        return ORIGINAL

    def encoded(self, image: "Image", content: bytes) -> tuple[bytes, tuple[int, int]]:
        return content, image.size


@dataclass(frozen=True)
class Resized(Form):
    """Pictures whose shorter side is at most ``side`` pixels; smaller ones keep their size."""

    side: int

    def resized(self, image: "Image") -> "Image":
        """Return ``image`` as evaluation resizes it (torchvision's rounding, bilinear)."""
        from torchvision.transforms.v2 import functional

        if min(image.size) <= self.side:
            return image
        smaller: Image = functional.resize(image, [self.side])
        return smaller


@dataclass(frozen=True)
class Jpeg(Resized):
    """Encoded as JPEG once more, with chroma at half the resolution, as most cameras do."""

    quality: int

    def __str__(self) -> str:
        return f"jpeg-{self.side}-{self.quality}"

    def encoded(self, image: "Image", content: bytes) -> tuple[bytes, tuple[int, int]]:
        smaller, file = self.resized(image), io.BytesIO()
        smaller.save(file, "JPEG", quality=self.quality, subsampling="4:2:0")
        return file.getvalue(), smaller.size

    def pixels(self, stored: Tensor, size: tuple[int, int]) -> Tensor:
        from torchvision.io import ImageReadMode, decode_jpeg

        pixels: Tensor = decode_jpeg(stored, ImageReadMode.RGB)
        return pixels


@dataclass(frozen=True)
class Raw(Resized):
    """Not encoded: three bytes per pixel, rows from the top."""

    def __str__(self) -> str:
        return f"raw-{self.side}"

    def encoded(self, image: "Image", content: bytes) -> tuple[bytes, tuple[int, int]]:
        smaller = self.resized(image)
        return smaller.tobytes(), smaller.size

    def image(self, path: Path, content: bytes, size: tuple[int, int], remedy: str) -> "Image":
        from PIL import Image

        return Image.frombytes("RGB", size, content)

    def pixels(self, stored: Tensor, size: tuple[int, int]) -> Tensor:
        width, height = size
        return stored.view(height, width, 3).permute(2, 0, 1)


def parse(word: str) -> Form:
    """Return the form that ``word`` names.

    >>> str(parse("jpeg-256-90")), parse("raw-160")
    ('jpeg-256-90', Raw(side=160))

    Raises:
        ValueError: it names none.
    """
    if word == ORIGINAL:
        return Original()
    found = _ENCODED.fullmatch(word)
    if found is None:
        raise ValueError(f"there is no form '{word}' of packed pictures; known: {WORDS}")
    side = int(found["jpeg_side"] or found["raw_side"])
    if side < SMALLEST_SIDE:
        raise ValueError(f"'{word}': the shorter side has {SMALLEST_SIDE} pixels at least")
    if found["quality"] is None:
        return Raw(side)
    quality = int(found["quality"])
    if not 1 <= quality <= 100:
        raise ValueError(f"'{word}': the quality of a JPEG is 1 to 100")
    return Jpeg(side, quality)


def _other_pixels(word: str) -> str:
    """Return ``word`` as it is spelt, if it names pixels that are not the original ones."""
    form = parse(word)
    if isinstance(form, Original):
        raise ValueError(
            "the form 'original' changes no number: leave 'packed' out, and it is read where it is"
        )
    return str(form)


OtherPixels = Annotated[str, AfterValidator(_other_pixels)]
"""A form whose pixels are not those of the original files: a setting of a dataset."""
