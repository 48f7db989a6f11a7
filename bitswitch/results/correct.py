"""Which examples of the test split were right: ``correct.jsonl``, one bit each."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from bitswitch.results.record import Record
from bitswitch.results.result import files_of

NAME = "correct.jsonl"


class Correct(Record):
    """One line of ``correct.jsonl``: a network at one policy."""

    policy: str
    metric: str
    """That is the share of the examples which were right; its name as in ``metrics.jsonl``."""
    examples: int
    """How many the split has."""
    packed: str
    """One for each, in the order of the split: 1 for right, the first one highest; in Base64."""

    @classmethod
    def pack(cls, policy: str, metric: str, right: Sequence[int]) -> Self:
        """Return the line of examples that were ``right``, or not: 1 or 0 each."""
        bits = b64encode(np.packbits(np.fromiter(right, dtype=bool)).tobytes()).decode()
        return cls(policy=policy, metric=metric, examples=len(right), packed=bits)

    @model_validator(mode="after")
    def _bits_are_of_all_examples(self) -> Self:
        found = len(b64decode(self.packed, validate=True))
        if found != (expected := (self.examples + 7) // 8):
            raise ValueError(f"{found} bytes for {self.examples} examples, not {expected}")
        return self

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each example was right."""
        return unpacked(self.packed, self.examples)


def unpacked(packed: str, examples: int) -> NDArray[np.bool_]:
    """Return whether each of so many examples was right, from what ``Correct.packed`` holds.

    >>> unpacked("oA==", 3)
    array([ True, False,  True])
    """
    content = np.frombuffer(b64decode(packed), dtype=np.uint8)
    return np.unpackbits(content, count=examples).astype(bool)


def read_correct(folder: Path) -> list[Correct]:
    """Return what a finished run or search in ``folder`` has kept of single examples.

    It is nothing where its task has no right and wrong, and of results that were made before it
    was kept: their ``result.json`` does not vouch for the file.

    Raises:
        RecordError: a line is none.
    """
    return Correct.read_lines(folder / NAME) if NAME in files_of(folder) else []
