"""Tokenizers: a text becomes numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from bitswitch.data.files import advise
from bitswitch.errors import SpecError

BYTES = "bytes"
EXTRA = "pip install 'bitswitch[llm]'"


class Tokenizer(Protocol):
    """Turns text into token ids."""

    name: str
    vocabulary: int
    """How many tokens there are."""

    def encode(self, text: bytes) -> "np.ndarray[Any, Any]":
        """Return the ids of a text in UTF-8, without any special token, [n]."""

    def decode(self, ids: Sequence[int]) -> bytes:
        """Return the text that ``ids`` stand for."""

    def bytes_of(self) -> Tensor | None:
        """Return the bytes of text that each token stands for, int64; None: one each."""

    def token(self, written: str) -> int | None:
        """Return the id of a token as it is written, if there is one."""


class Bytes:
    """Every byte is a token."""

    name = BYTES
    vocabulary = 256

    def encode(self, text: bytes) -> "np.ndarray[Any, Any]":
        return np.frombuffer(bytearray(text), np.uint8)

    def decode(self, ids: Sequence[int]) -> bytes:
        return bytes(ids)

    def bytes_of(self) -> Tensor | None:
        return None

    def token(self, written: str) -> int | None:
        return None


class TokenizerFile:
    """A ``tokenizer.json`` of the library ``tokenizers``, which the extra ``llm`` brings.

    Args:
        path: Of the file.

    Raises:
        SpecError: the library is not installed.
        DatasetError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            import tokenizers
        except ImportError:
            raise SpecError(
                f"Tokenizer {path} needs the library tokenizers, which is not installed.\n  {EXTRA}"
            ) from None
        if not path.is_file():
            raise advise("Tokenizer not found", path, f"name a tokenizer.json, or '{BYTES}'")
        try:
            self._made: Any = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more specific
            raise advise(f"Damaged tokenizer ({error})", path, "download it again") from error
        self.name = name_of(str(path))
        self.vocabulary = 1 + max(self._made.get_vocab(with_added_tokens=True).values())

    def encode(self, text: bytes) -> "np.ndarray[Any, Any]":
        ids = self._made.encode(text.decode(), add_special_tokens=False).ids
        return np.array(ids, np.int32)

    def decode(self, ids: Sequence[int]) -> bytes:
        text: str = self._made.decode(list(ids), skip_special_tokens=False)
        return text.encode()

    def bytes_of(self) -> Tensor | None:
        sizes = torch.zeros(self.vocabulary, dtype=torch.int64)
        added = self._made.get_added_tokens_decoder()
        is_bytes = "ByteLevel" in str(self._made.decoder)
        for written, number in self._made.get_vocab(with_added_tokens=True).items():
            special = number in added and added[number].special
            sizes[number] = 0 if special else _size(written, is_bytes)
        return sizes

    def token(self, written: str) -> int | None:
        found: int | None = self._made.token_to_id(written)
        return found


def _size(written: str, is_bytes: bool) -> int:
    """Return how many bytes a token stands for.

    Args:
        written: In the tokenizer's vocabulary, where one letter may stand for one byte, U+2581 for
            a space, and ``<0x0A>`` for a byte that is in no other token.
        is_bytes: Whether one letter stands for one byte.

    >>> _size("▁the", False), _size("<0x0A>", False), _size("Ġthe", True), _size("é", False)
    (4, 1, 4, 2)
    """
    if is_bytes:
        return len(written)
    if len(written) == 6 and written.startswith("<0x") and written.endswith(">"):
        return 1
    return len(written.replace("\u2581", " ").encode())


def name_of(tokenizer: str) -> str:
    """Return what tables say of a tokenizer that an option names.

    >>> name_of("bytes"), name_of("data/tinyllama/tokenizer.json")
    ('bytes', 'tinyllama/tokenizer.json')
    """
    return "/".join(Path(tokenizer).parts[-2:])


def tokenizer_of(name: str) -> Tokenizer:
    """Return the tokenizer that an option names: ``bytes``, or the path of a ``tokenizer.json``."""
    return Bytes() if name == BYTES else TokenizerFile(Path(name))
