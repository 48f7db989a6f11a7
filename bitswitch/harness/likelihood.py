"""How probable a decoder finds tokens after others; lm-eval is not needed for it."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.runtime import transfers

Logits = Callable[[Tensor], Tensor]
"""Takes tokens int64 [n, t], returns logits [n, t, vocabulary]."""


class Pair(NamedTuple):
    """Tokens, and those whose probability after them is asked for; neither is empty."""

    context: Sequence[int]
    continuation: Sequence[int]


class Likelihood(NamedTuple):
    """What a decoder says of one pair."""

    log: float
    """Natural logarithm of the probability of the continuation."""
    greedy: bool
    """Whether each of its tokens is the most likely one."""


def read(pair: Pair, room: int, first: int | None = None) -> list[int]:
    """Return the tokens that are read for ``pair``, the last of its continuation left out.

    Args:
        pair: Its continuation fits into ``room``.
        room: Tokens that the network reads at most; the first ones of the context are dropped.
        first: Token that every window begins with, whatever is dropped; None: there is none.

    >>> read(Pair([5, 6, 7], [8, 9]), 4), read(Pair([5, 6, 7], [8, 9]), 3)
    ([5, 6, 7, 8], [6, 7, 8])
    >>> read(Pair([1, 5, 6, 7], [8, 9]), 3, first=1)
    [1, 7, 8]
    """
    tokens = [*pair.context, *pair.continuation][:-1]
    if len(tokens) <= room:
        return tokens
    kept = tokens[-room:]
    return kept if first is None else [first, *kept[1:]]


def rolling(tokens: Sequence[int], first: int, room: int) -> Iterator[Pair]:
    """Yield pairs in which every one of ``tokens`` is predicted once, from as much as there is.

    Args:
        tokens: A text.
        first: Token that stands before it.
        room: Tokens that the network reads at most.

    >>> [list(pair) for pair in rolling([1, 2, 3, 4, 5], 0, 2)]
    [[[0], [1, 2]], [[2], [3, 4]], [[3, 4], [5]]]
    """
    for start in range(0, len(tokens), room):
        end = min(start + room, len(tokens))
        context = tokens[end - room - 1 : start] if start else [first]
        yield Pair(context, tokens[start:end])


@torch.no_grad()
def likelihoods(
    pairs: Sequence[Pair],
    logits: Logits,
    room: int,
    batch_size: int,
    device: torch.device,
    first: int | None = None,
) -> list[Likelihood]:
    """Return what a decoder says of ``pairs``.

    Logarithms are taken in float32 at least, and added up in float64. Pairs of about one length
    are read at once; no position sees what comes after it, so that padding changes nothing.

    Args:
        pairs: Any number.
        logits: The decoder.
        room: As in ``read``, as ``first``.
        batch_size: Windows that are read at once.
        device: Where the decoder computes.
        first: As in ``read``.
    """
    windows = [read(pair, room, first) for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda one: -len(windows[one]))
    found: dict[int, Likelihood] = {}
    for start in range(0, len(order), batch_size):
        some = order[start : start + batch_size]
        rows = [torch.tensor(windows[one]) for one in some]
        said = logits(_padded(rows, device))
        asked = _padded([torch.tensor(pairs[one].continuation) for one in some], device)
        ends = [(len(windows[one]), len(pairs[one].continuation)) for one in some]
        values = [
            _likelihood(row[end - count : end], wanted[:count])
            for row, wanted, (end, count) in zip(said, asked, ends, strict=True)
        ]
        sent = transfers.to_host(torch.stack(values))
        for one, (log, is_greedy) in zip(some, sent, strict=True):
            found[one] = Likelihood(log, bool(is_greedy))
    return [found[one] for one in range(len(pairs))]


def _padded(rows: Sequence[Tensor], device: torch.device) -> Tensor:
    """Return tokens of several lengths as one table, sent to ``device`` at once."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True).to(device)


def _likelihood(rows: Tensor, asked: Tensor) -> Tensor:
    """Return what logits [t, vocabulary] say of the tokens [t] that were asked for.

    Returns:
        Log-probability, and 1 where each is the most likely one; float64 [2].
    """
    exact = rows.to(torch.promote_types(rows.dtype, torch.float32))
    logs = exact.log_softmax(-1).gather(1, asked[:, None]).double().sum()
    greedy = (exact.argmax(-1) == asked).all()
    return torch.stack([logs, greedy.double()])
