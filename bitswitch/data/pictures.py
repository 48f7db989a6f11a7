"""Picture files of any kind to the RGB that a viewer shows, or a clear refusal."""

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from bitswitch.data.files import advise

if TYPE_CHECKING:
    from PIL.Image import Image

_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    *(IndexError, KeyError, OverflowError, TypeError),
)
"""What Pillow raises about files that are damaged, or that it does not know."""
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
"""Modes of one channel with 16 bits, all of which Pillow clips when it converts them."""
_UNBOUNDED = ("I", "F")
"""Modes whose values have no agreed white."""


def read_picture(path: Path, remedy: str, content: bytes | None = None) -> "Image":
    """Return the picture in ``path`` as RGB, the way up and as bright as a viewer shows it.

    It is turned as its EXIF orientation says, 16-bit grey is scaled to 8 bits, and what is
    transparent lies on white.

    Args:
        path: A file of any format that Pillow reads; of several pictures in it, the first.
        remedy: What to do about a file that cannot be read.
        content: Of the file, where it was read before; ``path`` then only names it.

    Raises:
        DatasetError: the file is missing, no complete picture, larger than Pillow's limit against
            decompression bombs, or of values without a known white.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path if content is None else io.BytesIO(content)) as image:
            if image.mode not in _UNBOUNDED:
                ImageOps.exif_transpose(image, in_place=True)
                return _as_rgb(image)
    except FileNotFoundError:
        raise advise("Image not found", path, remedy) from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        problem = f"Image of more than {most:,} pixels, which may be made to fill the memory"
        raise advise(problem, path, "make it smaller first: networks see less") from None
    except _UNREADABLE as error:
        raise advise(f"Damaged image ({error})", path, remedy) from None
    problem = "Image of 32-bit values, none of which is known to be white"
    raise advise(problem, path, "save it with 8 or 16 bits per channel")


def _as_rgb(image: "Image") -> "Image":
    """Return ``image`` as RGB, on white where it is transparent."""
    if image.mode in _SIXTEEN_BITS:
        return _eight_bits(image).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    from PIL import Image

    drawn = image.convert("RGBA")
    paper = Image.new("RGBA", drawn.size, "white")
    paper.alpha_composite(drawn)
    return paper.convert("RGB")


def _eight_bits(image: "Image") -> "Image":
    """Return 16-bit grey as 8-bit grey: 65535 is white."""
    import numpy as np
    from PIL import Image

    values = np.array(image, dtype=np.uint32)
    if "transparency" in image.info:  # one level of grey
        values[values == image.info["transparency"]] = 65535
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
