"""``text-files``: your own text, one file or several for every split.

Plans need no files where ``vocabulary`` and ``sizes`` say what they would be asked for.
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from bitswitch.data import files
from bitswitch.data.text import SPLITS, TextDataset, Tokens, require_windows
from bitswitch.data.tokenization import BYTES, name_of, tokenizer_of
from bitswitch.errors import DatasetError, SpecError
from bitswitch.runtime.cache import code_state, digest, remembered
from bitswitch.tasks.language_model import Bos, Protocol, Windows
from bitswitch.types import Strict


class Sizes(Strict):
    """How many windows every split has."""

    train: PositiveInt
    """Of an epoch, drawn anew each time."""
    held_out: PositiveInt
    """The first of the text."""
    test: PositiveInt
    """The first of the text."""


Paths = Annotated[tuple[str, ...], Field(min_length=1)]


class TextFiles(TextDataset):
    """Files of text in UTF-8, joined by two line feeds within a split, then tokenised once."""

    source = "bitswitch"
    remedy = files.prepare_again("text-files")

    class Options(Strict):
        """Which files, and how they are cut; paths are taken from where bitswitch runs."""

        train: Paths
        held_out: Paths
        test: Paths
        tokenizer: str = BYTES
        """``bytes``, or the path of a ``tokenizer.json``."""
        vocabulary: PositiveInt | None = None
        """Outputs of the network, where they are more than the tokenizer has tokens."""
        context: Annotated[int, Field(ge=2)] = 256
        """Tokens that a window holds."""
        windows: Windows = "shifted"
        """How held-out and test text are cut; training windows are shifted ones."""
        stride: PositiveInt | None = None
        """Of ``strided`` windows, in tokens."""
        bos: Bos = "none"
        """Whether ``bos_token`` comes first in a text, or in every window."""
        bos_token: str = "<s>"
        epoch_windows: PositiveInt | None = None
        """Training windows that an epoch takes, drawn anew each time; None: all."""
        sizes: Annotated[Sizes | None, Field(exclude_if=lambda sizes: sizes is None)] = None
        """Windows that are taken of every split, in place of ``epoch_windows``: files must hold as
        many, and longer ones give no more. With these and ``vocabulary``, a suite can be planned
        before its files are there. None: all windows, counted in the files."""

        @model_validator(mode="before")
        @classmethod
        def _one_file(cls, value: Any) -> Any:
            if not isinstance(value, dict):
                return value
            return {k: [v] if k in SPLITS and isinstance(v, str) else v for k, v in value.items()}

        @model_validator(mode="after")
        def _stride_fits(self) -> Self:
            if (self.stride is not None) != (self.windows == "strided"):
                raise ValueError("stride belongs to windows 'strided', and only to them")
            if self.stride is not None and self.stride >= self.context:
                raise ValueError(f"stride {self.stride} must be less than context {self.context}")
            return self

        @model_validator(mode="after")
        def _sizes_are_said_once(self) -> Self:
            if self.sizes is not None and self.epoch_windows is not None:
                raise ValueError("epoch_windows is sizes.train: leave one of them out")
            return self

    options: Options

    def __init__(self, options: Strict) -> None:
        super().__init__(options)
        chosen, sizes = self.options, self.options.sizes
        self.epoch_windows = sizes.train if sizes else chosen.epoch_windows
        if sizes:
            self.scored_windows = sizes.model_dump(exclude={"train"})
        self.is_planned = bool(sizes and chosen.vocabulary and self.missing())
        self.outputs = chosen.vocabulary or 0
        if not self.is_planned:
            self._take_tokenizer()
        named = ", ".join(Path(path).name for path in chosen.test)
        self.protocol = Protocol(
            name_of(chosen.tokenizer),
            chosen.windows,
            chosen.context,
            chosen.stride or chosen.context,
            "byte" if chosen.tokenizer == BYTES else "token",
            named,
            chosen.bos,
        )

    def _take_tokenizer(self) -> None:
        """Load the tokenizer, and hold what the options say against it.

        Raises:
            SpecError: it has more tokens than the vocabulary, or none to begin a text.
        """
        chosen = self.options
        self.tokenizer = tokenizer_of(chosen.tokenizer)
        known = self.tokenizer.vocabulary
        self.outputs = chosen.vocabulary or known
        if self.outputs < known:
            raise SpecError(
                f"A vocabulary of {self.outputs} is smaller than that of the tokenizer "
                f"{chosen.tokenizer}, {known}.\n  Leave vocabulary out, or give at least {known}."
            )
        if chosen.bos != "none":
            self.bos_token = self._bos_token()

    def missing(self) -> list[str]:
        return [path for path in self._files() if not Path(path).exists()]

    def _files(self) -> list[str]:
        """Return the paths of all files that the options name, the tokenizer's first."""
        chosen = self.options
        tokenizer = [] if chosen.tokenizer == BYTES else [chosen.tokenizer]
        return [*tokenizer, *(path for split in SPLITS for path in getattr(chosen, split))]

    def _bos_token(self) -> int:
        """Return the id of the token that begins a text.

        Raises:
            SpecError: the tokenizer has none.
        """
        found = self.tokenizer.token(self.options.bos_token)
        if found is None:
            raise SpecError(
                f"Tokenizer {self.options.tokenizer} has no token '{self.options.bos_token}' for "
                f"the beginning of a text.\n  Name one as bos_token, or leave bos at none."
            )
        return found

    @property
    def stamp(self) -> str:  # type: ignore[override]
        """What tables say of the data."""
        protocol = self.protocol
        return f"text {protocol.text}, windows of {protocol.context} {protocol.unit}s"

    @cached_property
    def texts(self) -> dict[str, bytes]:
        """The whole text of every split.

        Raises:
            DatasetError: a file is missing, or holds no text in UTF-8.
        """
        return {
            split: b"\n\n".join(read_text(Path(path)) for path in getattr(self.options, split))
            for split in SPLITS
        }

    def unigram(self) -> float | None:
        """Return what ``TextDataset`` does; remembered as long as no file changes."""
        if self.is_planned:
            return None
        if self.missing():
            return super().unigram()  # says which
        states = [Path(path).stat().st_mtime_ns for path in self._files()]
        key = digest("unigram", self.options.model_dump(), states, code_state("bitswitch"))
        found: float = remembered("texts", key, super().unigram)
        return found

    def sizes(self) -> dict[str, int]:
        return self.options.sizes.model_dump() if self.options.sizes else super().sizes()

    def tokens(self) -> Tokens:
        found = {split: self.tokenizer.encode(text) for split, text in self.texts.items()}
        for split, ids in found.items():
            named = f"the {split} text, {', '.join(getattr(self.options, split))}"
            require_windows(self.protocol, len(ids), named)
            require_known(ids, self.outputs, named)
        self._require_sizes(found)
        return found

    def _require_files(self) -> None:
        """Raise an error where there are no files yet.

        Raises:
            DatasetError: it names the first that is missing, and how many there are.
        """
        if self.is_planned:
            first, *more = self.missing()
            others = f" (and {len(more)} more)" if more else ""
            raise files.advise(f"File not found{others}", Path(first), "put it there")

    def _require_sizes(self, tokens: Tokens) -> None:
        """Raise an error where a text has fewer windows than ``sizes`` says.

        Raises:
            DatasetError: one has.
        """
        if self.options.sizes is None:
            return
        found = self._windows(tokens, torch.device("cpu"))
        for split, expected in self.options.sizes.model_dump().items():
            if found.size(split) < expected:
                raise DatasetError(
                    f"The {split} text, {', '.join(getattr(self.options, split))}, has "
                    f"{found.size(split)} windows of {self.protocol.context} "
                    f"{self.protocol.unit}s; 'sizes' says {expected}.\n  Give a longer text, or "
                    f"set sizes.{split} to {found.size(split)} or less."
                )

    def path(self, root: Path) -> Path:
        self._require_files()
        known = [self.texts[split] for split in SPLITS]
        if self.options.tokenizer != BYTES:
            known.append(Path(self.options.tokenizer).read_bytes())
        content = [hashlib.sha256(one).hexdigest() for one in known]
        return root / f"text-files-{digest(content, self.options.model_dump())[:8]}.npz"

    def bytes_of(self) -> Tensor | None:
        found = self.tokenizer.bytes_of()
        if found is None or len(found) == self.outputs:
            return found
        return found.new_zeros(self.outputs).scatter(0, found.new_tensor(range(len(found))), found)


def read_text(path: Path) -> bytes:
    """Return the text in a file.

    Raises:
        DatasetError: it is missing, empty or not in UTF-8.
    """
    try:
        content = path.read_bytes()
        content.decode()
    except OSError as error:
        problem = f"Text not found ({error.strerror or error})"
        raise files.advise(problem, path, "give the path of a text file") from error
    except UnicodeDecodeError as error:
        problem = f"Text is not UTF-8 (byte {content[error.start]:#04x} at {error.start})"
        remedy = "convert it, e.g. by iconv -f LATIN1 -t UTF-8"
        raise files.advise(problem, path, remedy) from error
    if not content.strip():
        raise files.advise("Text is empty", path, "give a file that holds some")
    return content


def require_known(ids: "np.ndarray[Any, Any]", outputs: int, text: str) -> None:
    """Raise an error where a token id is none of the vocabulary's.

    Raises:
        DatasetError: one is negative or too large.
    """
    wrong = np.flatnonzero((ids < 0) | (ids >= outputs))
    if len(wrong):
        raise DatasetError(
            f"Token {int(ids[wrong[0]])} at {int(wrong[0])} of {text} is out of range: the "
            f"vocabulary has {outputs}.\n  Give the tokenizer that belongs to this vocabulary."
        )
