"""Texts as windows of tokens, whole on the training device."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bitswitch.contracts.data import Batch, Dataset, OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.contracts.task import UNCOUNTED
from bitswitch.data import files
from bitswitch.data.tokenization import Bytes, Tokenizer
from bitswitch.errors import DatasetError, SpecError
from bitswitch.runtime.randomness import generator
from bitswitch.tasks.language_model import LanguageModel, Protocol

SPLITS = ("train", "held_out", "test")
SCORED = ("train", "test")
"""Splits whose frequencies make the bound of a network that knows nothing."""

Tokens = Mapping[str, np.ndarray[Any, Any]]
"""Token ids [n] by split, of the narrowest unsigned type."""


class TextDataset(Dataset):
    """A text in three disjoint splits; a network predicts every token from those before it.

    Training windows are shifted ones. An epoch starts at a random offset below the context and
    permutes them.
    """

    protocol: Protocol
    """How held-out and test text are cut and scored."""
    epoch_windows: int | None = None
    """Training windows that an epoch takes, drawn anew each time; None: all."""
    scored_windows: Mapping[str, int] = {}
    """Windows of the other splits that are taken, the first; all of a split that is not named."""
    bos_token: int | None = None
    """Where the protocol has one."""
    remedy: str
    """What to do about data that are missing."""
    tokenizer: Tokenizer = Bytes()
    """Turns text into tokens."""

    def tokens(self) -> Tokens:
        """Return the tokens of every split, from where they come.

        Raises:
            DatasetError: there are none, or not those that were expected.
        """
        raise NotImplementedError

    def path(self, root: Path) -> Path:
        """Return the file below ``root`` that holds the tokens for these options."""
        raise NotImplementedError

    def bytes_of(self) -> Tensor | None:
        """Return the bytes that each token stands for, int64 [vocabulary]; None: one each."""
        return None

    @cached_property
    def task(self) -> LanguageModel:  # type: ignore[override]
        """Predicting the next token by the protocol; it knows what unigrams reach."""
        return LanguageModel(self.protocol, self.unigram(), self.bytes_of())

    def unigram(self) -> float | None:
        """Return the perplexity of the test text under the frequencies of training tokens.

        None where there are no tokens yet.
        """
        tokens = self._tokens
        train, test = (torch.from_numpy(tokens[name].astype(np.int64)) for name in SCORED)
        return unigram_perplexity(train, test, self.outputs)

    @cached_property
    def _tokens(self) -> Tokens:
        return self.tokens()

    def example(self, count: int, generator: torch.Generator) -> Batch:
        shape = (count, self.protocol.context)
        inputs, targets = (torch.randint(self.outputs, shape, generator=generator) for _ in "it")
        return Batch(inputs, targets, torch.arange(count))

    def sizes(self) -> dict[str, int]:
        found = self._windows(self._tokens, torch.device("cpu"))
        return {split: found.size(split) for split in SPLITS}

    def prepare(self, root: Path) -> None:
        try:
            self.check(root)
        except DatasetError:  # missing or damaged
            files.save_arrays(self.path(root), self._tokens)

    def check(self, root: Path) -> dict[str, str]:
        arrays = files.load_arrays(self.path(root), self.remedy)
        counts = {split: str(len(arrays[split])) for split in SPLITS}
        return {"file": str(self.path(root)), "sha256": files.content_hash(arrays), **counts}

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        return self._windows(files.load_arrays(self.path(root), self.remedy), device)

    def windows_of(self, tokens: Tensor) -> OpenDataset:
        """Return any ``tokens`` [n] as the test split, cut as the protocol says."""
        text = dict.fromkeys(SPLITS, tokens.numpy())
        return Windows(text, self.protocol, torch.device("cpu"), bos=self.bos_token)

    def _windows(self, tokens: Tokens, device: torch.device) -> "Windows":
        scored = self.scored_windows
        return Windows(tokens, self.protocol, device, self.epoch_windows, self.bos_token, scored)


class Windows(OpenDataset):
    """Texts that lie on ``device``, cut into windows as they are needed.

    Args:
        tokens: By split.
        protocol: How held-out and test text are cut and scored.
        device: Where batches are wanted.
        epoch: Training windows of an epoch; None: all.
        bos: Token that begins a text or a window, where the protocol has one.
        scored: Windows of the other splits that are taken, the first; of one not named, all.
    """

    def __init__(
        self,
        tokens: Tokens,
        protocol: Protocol,
        device: torch.device,
        epoch: int | None = None,
        bos: int | None = None,
        scored: Mapping[str, int] | None = None,
    ) -> None:
        self.protocol, self.device, self._scored = protocol, device, scored or {}
        self.text = {
            split: torch.from_numpy(_stored(_begun(tokens[split], protocol, bos))).to(device)
            for split in SPLITS
        }
        self._bos = bos if protocol.bos == "window" else None
        length = len(self.text["train"]) + (self._bos is not None)
        every = max((length - protocol.context) // protocol.context, 0)
        self._training = every, min(epoch or every, every)

    def size(self, split: str) -> int:
        return self._training[1] if split == "train" else len(self._starts(split))

    def train_batches(
        self, batch_size: int, stream: Stream, seed: int, skip: int
    ) -> Iterator[Batch]:
        draw = generator("epoch", seed, stream.key)
        every, count = self._training
        offset = torch.randint(self.protocol.context, (), generator=draw)
        order = torch.randperm(every, generator=draw)[:count].to(self.device)
        starts = order * self.protocol.context + offset.to(self.device)
        for start in range(skip * batch_size, count - batch_size + 1, batch_size):
            part = slice(start, start + batch_size)
            yield Batch(*self._cut("train", starts[part]), order[part])

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        starts = self._starts(split)
        indices = torch.arange(len(starts), device=self.device)
        for start in range(0, len(starts), batch_size):
            part = indices[start : start + batch_size]
            inputs, targets = self._cut(split, starts[part])
            if self.protocol.windows == "disjoint":
                targets[:, -1] = UNCOUNTED
            if self.protocol.windows == "strided":
                seen = self.protocol.context - self.protocol.stride
                targets[:, :seen] = torch.where(part[:, None] > 0, UNCOUNTED, targets[:, :seen])
            yield Batch(inputs, targets, part)

    def _starts(self, split: str) -> Tensor:
        """Return where the windows of a split that is scored begin, int64 [windows]."""
        context, stride = self.protocol.context, self.protocol.stride
        length = len(self.text[split]) - (self._bos is None)  # that can be predicted
        if split == "train":
            return torch.arange(self._training[0], device=self.device) * context
        if self.protocol.windows == "disjoint":
            count = len(self.text[split]) // context
        else:
            count = 1 + max(-(-(length - context) // stride), 0)
        taken = min(count, self._scored.get(split, count))
        return torch.arange(taken, device=self.device) * stride

    def _cut(self, split: str, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets [n, context] of windows; none counts behind the text's end."""
        text, context = self.text[split], self.protocol.context
        places = starts[:, None] + torch.arange(context + (self._bos is None), device=self.device)
        found = text[places.clamp(max=len(text) - 1)].long()
        targets = torch.where(places < len(text), found, UNCOUNTED)
        if self._bos is None:
            return found[:, :-1].contiguous(), targets[:, 1:].contiguous()
        begin = torch.full_like(found[:, :1], self._bos)
        return torch.cat([begin, found[:, :-1]], 1), targets


def require_windows(protocol: Protocol, tokens: int, text: str) -> None:
    """Raise an error where a text has not one whole window.

    Args:
        protocol: How it is cut.
        tokens: How many it has.
        text: Which, for the message.

    Raises:
        SpecError: it is too short.
    """
    if tokens <= protocol.context:
        raise SpecError(
            f"A window of context {protocol.context} and the token after it do not fit into "
            f"{text}: {tokens} {protocol.unit}s.\n  Take a context of {max(tokens - 1, 2)} or "
            f"less, or a longer text."
        )


def _begun(tokens: np.ndarray[Any, Any], protocol: Protocol, bos: int | None) -> Any:
    """Return ``tokens``, after the token that begins a text where the protocol has one."""
    if protocol.bos != "once" or bos is None:
        return tokens
    return np.concatenate([np.array([bos], tokens.dtype), tokens])


def _stored(tokens: np.ndarray[Any, Any]) -> Any:
    """Return ``tokens`` in a type that torch can index on every device."""
    return tokens if tokens.dtype == np.uint8 else tokens.astype(np.int32)


def unigram_perplexity(train: Tensor, test: Tensor, vocabulary: int) -> float:
    """Return the perplexity of ``test`` under the frequencies of tokens in ``train``.

    Every token of the vocabulary is counted once more than it occurs, so that none is impossible.

    Args:
        train: Token ids [n].
        test: Token ids [m].
        vocabulary: How many tokens there are.

    >>> round(unigram_perplexity(torch.tensor([0, 0, 1]), torch.tensor([0, 1]), 2), 4)
    2.0412
    """
    counts = torch.bincount(train, minlength=vocabulary).double() + 1
    surprise = -(counts / counts.sum()).log()
    return float((surprise * torch.bincount(test, minlength=vocabulary)).sum().div(len(test)).exp())
