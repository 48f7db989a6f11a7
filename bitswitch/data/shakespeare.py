"""``shakespeare``: plays in the public domain as bytes; needs no download."""

import hashlib
import lzma
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PositiveInt

from bitswitch.assets import asset
from bitswitch.data import files
from bitswitch.data.text import SPLITS, TextDataset, Tokens, require_windows
from bitswitch.runtime.cache import digest
from bitswitch.tasks.language_model import Protocol
from bitswitch.types import Strict

FILE = ("data", "shakespeare.xz")
SHA256 = "a10dee128db80ba731a138f88582ec92fd025cd129dee54ea3c367b4c890c536"
"""Of the text inside it."""
LENGTHS = {"train": 1_000_000, "held_out": 113_653, "test": 214_806}
"""Bytes; the plays of a split are divided by two line feeds."""


class Shakespeare(TextDataset):
    """Plays of Shakespeare, as bytes.

    The splits share no play. Test: Macbeth, then Twelfth Night; held out: Julius Caesar; training:
    1.0 MB of eight others, A Midsummer Night's Dream to Cymbeline.
    """

    source = "shakespeare1623plays"
    outputs = 256
    remedy = files.prepare_again("shakespeare")

    class Options(Strict):
        """How much of the text there is, and how it is cut."""

        context: Annotated[int, Field(ge=2, le=4096)] = 64
        """Bytes that a window holds."""
        epoch_windows: PositiveInt | None = None
        """Training windows that an epoch takes, drawn anew each time; None: all."""
        held_out: Annotated[int, Field(gt=0, le=LENGTHS["held_out"])] = 32_768
        """Bytes that are scored, from the beginning of Julius Caesar."""
        test: Annotated[int, Field(gt=0, le=LENGTHS["test"])] = 65_536
        """Bytes that are scored, from the beginning of Macbeth."""

    options: Options

    def __init__(self, options: Strict) -> None:
        super().__init__(options)
        self.epoch_windows = self.options.epoch_windows
        context, size = self.options.context, self.options.test
        text = f"Macbeth, then Twelfth Night, the first {size} bytes"
        self.protocol = Protocol("bytes", "shifted", context, context, "byte", text)
        for split in ("held_out", "test"):
            require_windows(self.protocol, getattr(self.options, split), f"its {split} text")

    @property
    def stamp(self) -> str:  # type: ignore[override]
        """What tables say of the data."""
        return f"embedded Shakespeare, windows of {self.options.context} bytes"

    def tokens(self) -> Tokens:
        found = {"train": LENGTHS["train"], **self.options.model_dump()}
        return {split: plays()[split][: found[split]] for split in SPLITS}

    def path(self, root: Path) -> Path:
        cut = self.options.model_dump(include={"held_out", "test"})
        return root / f"shakespeare-{digest(SHA256, cut)[:8]}.npz"


@lru_cache(1)
def plays() -> dict[str, np.ndarray[Any, Any]]:
    """Return the whole text of every split as bytes.

    Raises:
        DatasetError: the installation is damaged.
    """
    path = asset(*FILE)
    try:
        text = lzma.decompress(path.read_bytes())
    except (lzma.LZMAError, EOFError) as error:
        raise files.advise(f"Damaged data ({error})", path, "install bitswitch again") from error
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise files.advise("Damaged data (SHA-256 differs)", path, "install bitswitch again")
    parts = (np.frombuffer(bytearray(part), np.uint8) for part in text.split(b"\f"))
    return dict(zip(SPLITS, parts, strict=True))
