"""A decoder as lm-eval calls it: scores and continues texts."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from bitswitch.deployment.generation import Pick, drawn, generated
from bitswitch.errors import SpecError
from bitswitch.harness.decoder import Decoder
from bitswitch.harness.likelihood import Likelihood, Pair, likelihoods, rolling
from bitswitch.harness.tasks import NEW_TOKENS


class Request(Protocol):
    """What lm-eval asks."""

    args: tuple[Any, ...]


class Network:
    """A decoder at the policy of the moment; it has what lm-eval asks of an ``LM``.

    A text without a context is scored after the token for the beginning of a text; after a line
    feed, where training had no such token.

    Args:
        decoder: To be evaluated.
        batch_size: Windows that are read at once.
    """

    rank, world_size = 0, 1
    """Of this process, among those that share the work."""

    def __init__(self, decoder: Decoder, batch_size: int) -> None:
        self._decoder = decoder
        self._batch_size = batch_size
        self.truncated = 0
        """Requests so far whose context did not fit into that of the network."""

    def loglikelihood(self, requests: Sequence[Request]) -> list[tuple[float, bool]]:
        """Return log-probabilities of continuations, and whether each is the most likely one."""
        pairs = [self._pair(*request.args) for request in requests]
        room = self._decoder.context
        self.truncated += sum(len(one.context) + len(one.continuation) > room + 1 for one in pairs)
        return [(one.log, one.greedy) for one in self._scored(pairs)]

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> list[float]:
        """Return log-probabilities of whole texts."""
        decoder = self._decoder
        texts = [decoder.encode(request.args[0]) for request in requests]
        windows = [list(rolling(text, decoder.first, decoder.context)) for text in texts]
        scored = iter(self._scored([pair for some in windows for pair in some]))
        return [sum(next(scored).log for _ in some) for some in windows]

    def generate_until(self, requests: Sequence[Request]) -> list[str]:
        """Return what follows texts, up to where a text to stop at begins."""
        return [self._continued(*request.args) for request in requests]

    def _pair(self, context: str, continuation: str) -> Pair:
        """Return the tokens of a text, cut where ``continuation`` begins.

        Spaces before it belong to it, as in lm-eval: in most vocabularies a word has its space.
        """
        decoder, before = self._decoder, context.rstrip()
        if not before:
            begin = list(decoder.begins_texts) or [decoder.first]
            return Pair(begin, decoder.encode(context + continuation))
        whole, known = decoder.encode(context + continuation), decoder.encode(before)
        return Pair([*decoder.begins_texts, *known], whole[len(known) :])

    def _scored(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        decoder, room = self._decoder, self._decoder.context
        longest = max((len(pair.continuation) for pair in pairs), default=0)
        if longest > room:
            raise SpecError(
                f"A continuation of {longest} tokens does not fit into the context of the network, "
                f"{room}.\n  Train with a longer context, or leave this task out."
            )
        begin = decoder.begins_windows
        return likelihoods(pairs, decoder.logits, room, self._batch_size, decoder.device, begin)

    def _continued(self, context: str, options: dict[str, Any]) -> str:
        decoder = self._decoder
        count = int(options.get("max_gen_toks", NEW_TOKENS))
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else until
        prompt = [*decoder.begins_texts, *decoder.encode(context)] or [decoder.first]
        room = decoder.context - count
        self.truncated += len(prompt) > room
        kept = prompt[-room:]
        if decoder.begins_windows is not None:
            kept[0] = decoder.begins_windows
        tokens: list[int] = []
        with torch.no_grad():
            for one in generated(decoder.reader(), torch.tensor(kept), count, [0], _pick(options)):
                tokens.append(one.token)
                text = decoder.decode(tokens)
                if any(stop in text for stop in stops):
                    return text[: min(text.find(stop) for stop in stops if stop in text)]
        return decoder.decode(tokens)


def _pick(options: dict[str, Any]) -> Pick:
    """Return what chooses a token: the most likely one, unless a task wants tokens drawn."""
    temperature = float(options.get("temperature", 1.0)) if options.get("do_sample") else 0.0
    return drawn(temperature, seed=0)
