"""Continue a text with a deployed language model, whose bit-width may change between tokens."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.text import text_of, tokens_of
from bitswitch.errors import SpecError
from bitswitch.nn.cache import KeyValueCache, takes_cache
from bitswitch.nn.policy import resolve
from bitswitch.runtime import transfers

USUAL = 64
"""Tokens that are generated unless more or fewer are wanted; the context may end before."""

Pick = Callable[[Tensor], int]
"""Chooses a token by its logits [vocabulary]."""


class Reader(Protocol):
    """Reads a text from its beginning, some tokens at a time."""

    def __call__(self, tokens: Tensor, bits: int) -> Tensor:
        """Return the logits [vocabulary] of what follows ``tokens`` [t], read at ``bits``."""


class CachedReader:
    """A network at the policy of the moment; one that takes no cache reads all every time.

    Args:
        net: Says whether it takes a cache.
        logits: Calls it with tokens [n, t], and the cache.
        device: Where it computes.
        cached: Whether to keep keys and values of tokens, where the network can.
    """

    def __init__(
        self,
        net: nn.Module,
        logits: Callable[..., Tensor],
        device: torch.device | str = "cpu",
        cached: bool = True,
    ) -> None:
        self._logits = logits
        self._cache = KeyValueCache() if cached and takes_cache(net) else None
        self._read = torch.zeros(0, dtype=torch.int64, device=device)

    def __call__(self, tokens: Tensor, bits: int | None = None) -> Tensor:
        tokens = tokens.to(self._read.device)
        if self._cache is not None:
            return self._logits(tokens[None], cache=self._cache)[0, -1]
        self._read = torch.cat([self._read, tokens])
        return self._logits(self._read[None])[0, -1]


class ExactReader:
    """The integer model itself.

    Args:
        model: Left at its bit-widths.
        cached: As in ``CachedReader``.
    """

    def __init__(self, model: IntegerModel, cached: bool = True) -> None:
        self._model = model
        device = next(iter(model.net.state_dict().values())).device
        self._read = CachedReader(model.net, model, device, cached)

    def __call__(self, tokens: Tensor, bits: int) -> Tensor:
        with self._model.at(bits):
            return self._read(tokens)


class FastReader:
    """Steps of one token with onnxruntime.

    Args:
        model: Whose steps they are.
        widths: Bit-widths that will be used.
        threads: Of onnxruntime.

    Raises:
        EncodingError: the network cannot be written as ONNX, or takes no cache.
    """

    def __init__(self, model: IntegerModel, widths: Sequence[int], threads: int = 1) -> None:
        from bitswitch.deployment.onnx.step import StepSession, step_graph_of

        self._steps = {
            bits: StepSession(step_graph_of(model, bits), threads) for bits in dict.fromkeys(widths)
        }
        self._past = self._steps[widths[0]].nothing()

    def __call__(self, tokens: Tensor, bits: int) -> Tensor:
        for token in tokens:
            logits, self._past = self._steps[bits](token.view(1, 1), self._past)
        return logits[0, -1]


class Token(NamedTuple):
    """One token that was generated."""

    token: int
    bits: int
    """Bit-width at which the token before it was read."""


class Generation(NamedTuple):
    """A continued text."""

    run: str
    """Identifier of the run that trained the model."""
    prompt: str
    text: str
    """What follows it."""
    tokens: Sequence[Token]


def generated(
    read: Reader, prompt: Tensor, count: int, widths: Sequence[int], pick: Pick
) -> Iterator[Token]:
    """Yield ``count`` tokens that follow ``prompt``.

    The prompt is read at the first of ``widths``, every new token at the next one, in turn.

    Args:
        read: Has read nothing yet.
        prompt: int64 [tokens].
        count: How many more.
        widths: Bit-widths.
        pick: Chooses each token.
    """
    tokens, turn = prompt, cycle(widths)
    for _ in range(count):
        bits = next(turn)
        token = pick(read(tokens, bits))
        tokens = prompt.new_tensor([token])
        yield Token(token, bits)


def most_likely(logits: Tensor) -> int:
    """Return the token with the largest of ``logits``."""
    token: int = transfers.to_host(logits.argmax())
    return token


def drawn(temperature: float, seed: int) -> Pick:
    """Return what draws tokens by their probability at ``temperature``; at 0 the most likely.

    They are drawn on the processor, wherever the network computes.
    """
    if temperature == 0:
        return most_likely
    draw = torch.Generator().manual_seed(seed)

    def pick(logits: Tensor) -> int:
        shares = (transfers.to_cpu(logits).double() / temperature).softmax(0)
        return int(torch.multinomial(shares, 1, generator=draw))

    return pick


def generate(
    file: Path,
    prompt: str,
    widths: Sequence[int],
    count: int | None,
    pick: Pick,
    exactly: bool,
    threads: int,
) -> Generation:
    """Continue ``prompt`` with the model in ``file``; see ``stages.generate``.

    Args:
        file: The model.
        prompt: Text.
        widths: Bit-widths, used in turn; none: the widest.
        count: Tokens; None: ``USUAL``, or as many as the context has room for.
        pick: Chooses each token.
        exactly: Use the integer model itself, not onnxruntime.
        threads: Of onnxruntime.

    Raises:
        ArtifactError: ``file`` cannot be used.
        BitWidthError: the model does not offer one of ``widths``.
        DatasetError: the prompt has tokens that the model does not know.
        EncodingError: the network cannot be written as ONNX, or takes no cache.
        SpecError: the model reads no text, or the prompt is empty or too long.
    """
    model = load(file)
    widths = widths or model.bitset[:1]
    for bits in widths:
        resolve(bits, model.layers, model.bitset, has_float=False)
    dataset = text_of(model.facts)
    tokens = tokens_of(dataset, model.facts, prompt.encode(), "the prompt")
    if dataset.protocol.bos != "none" and dataset.bos_token is not None:
        tokens = torch.cat([tokens.new_tensor([dataset.bos_token]), tokens])
    room = _room(len(tokens), model.facts.input.shape[0], count, dataset.protocol.unit)
    read = ExactReader(model) if exactly else FastReader(model, widths, threads)
    found = list(generated(read, tokens, min(count or USUAL, room), widths, pick))
    text = dataset.tokenizer.decode([one.token for one in found])
    return Generation(model.facts.run, prompt, text.decode(errors="replace"), found)


def _room(prompt: int, context: int, count: int | None, unit: str) -> int:
    """Return how many tokens can follow a prompt; the last of them is not read any more.

    Raises:
        SpecError: fewer than are wanted, or none.
    """
    if not prompt:
        raise SpecError("The prompt is empty: give some text to continue, --prompt 'To be'.")
    room = context + 1 - prompt
    if room < 1:
        raise SpecError(
            f"The prompt has {prompt} {unit}s, the context of the network {context}.\n"
            f"  Leave out the beginning of the prompt, at least {prompt - context} {unit}s."
        )
    if count is not None and count > room:
        raise SpecError(
            f"{count} {unit}s after a prompt of {prompt} do not fit into the context of the "
            f"network, {context}.\n  Take {room} or fewer, or a shorter prompt."
        )
    return room
