"""Language modelling: every position of a window predicts its next token, judged by perplexity."""

import sys
from math import exp, inf, log, sqrt
from statistics import stdev
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from bitswitch.contracts.task import LOSS, UNCOUNTED, Evaluator, Found, Metric, Rows
from bitswitch.runtime import transfers

SLICE = 4096
"""Rows of logits whose loss is computed at once; of more, each slice keeps its logits alone."""
EVALUATED = 16_384
"""Tokens that are evaluated at once, about."""

Unit = Literal["byte", "token"]
"""What is predicted at a position."""


Windows = Literal["shifted", "disjoint", "strided"]
"""How a text is cut. ``shifted``: T + 1 tokens every T, so that each but the first is predicted
once; ``disjoint``: T tokens every T, T - 1 predictions each, the incomplete last one dropped;
``strided``: T + 1 tokens every S < T, of which those predictions count that none made before."""

Bos = Literal["none", "once", "window"]
"""Whether a token for the beginning of a text comes before it, or before every window."""


class Protocol(NamedTuple):
    """How a perplexity comes about; without it, two of them do not compare."""

    tokenizer: str
    windows: Windows
    context: int
    """Tokens that a window holds."""
    stride: int
    """Tokens from the start of one window to that of the next."""
    unit: Unit
    text: str
    """Which, in a few words."""
    bos: Bos = "none"

    def sentence(self) -> str:
        """Return what tables say of it.

        >>> Protocol("bytes", "shifted", 64, 64, "byte", "Macbeth").sentence()
        'tokenizer bytes; bos none; shifted windows, context 64, stride 64; unit byte; text Macbeth'
        """
        return (
            f"tokenizer {self.tokenizer}; bos {self.bos}; {self.windows} windows, context "
            f"{self.context}, stride {self.stride}; unit {self.unit}; text {self.text}"
        )


class LanguageModel(Rows):
    """Windows of tokens: outputs are logits [n, t, vocabulary], targets int64 [n, t].

    A target is the token that follows; -100 does not count. Logarithms of probabilities are taken
    in float32, their sums in float64.

    Args:
        protocol: How the text is cut and scored.
        unigram: Perplexity on the test split of the token frequencies of the training split, which
            is what a network that knows nothing of the context can reach; None: not known.
        bytes_of: Bytes of the text that each token stands for, int64 [vocabulary]; None: one.
    """

    example = "window"
    beside = ("bits_per_byte",)

    def __init__(
        self, protocol: Protocol, unigram: float | None = None, bytes_of: Tensor | None = None
    ) -> None:
        unit = protocol.unit
        self.metrics = (
            Metric("perplexity", f"Perplexity per {unit}", "1", "lower", 3, "log"),
            Metric("bits_per_byte", "Bits per byte", "bits", "lower", 3),
            Metric("next_top1", f"Next-{unit} top-1", "percent", "higher", 2),
            Metric(LOSS, "Cross-entropy", "nats", "lower", 4),
        )
        self.protocol = protocol
        self.batch_size = max(1, min(256, EVALUATED // protocol.context))
        self.note = (
            f"Perplexity: exp of the mean negative log-likelihood in nats over all predicted "
            f"{unit}s. Protocol: {protocol.sentence()}."
        )
        self.unigram = unigram
        self.bytes_of = bytes_of

    @property
    def measure(self) -> str:
        return "perplexity"

    def rows(self, outputs: Any) -> Tensor:
        logits: Tensor = outputs
        return logits.flatten(0, -2)

    def labels(self, targets: Tensor) -> Tensor:
        return targets.flatten(0, 1)

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        rows, labels = self.rows(outputs), self.labels(targets)
        if len(rows) <= SLICE:
            return cross_entropy(_exact(rows), labels)
        return self.loss_sum(outputs, targets) / (labels != UNCOUNTED).sum()

    def loss_sum(self, outputs: Any, targets: Tensor) -> Tensor:
        rows, labels = self.rows(outputs), self.labels(targets)
        if len(rows) <= SLICE:
            return _summed(rows, labels)
        parts = zip(torch.split(rows, SLICE), torch.split(labels, SLICE), strict=True)
        found = [checkpoint(_summed, *part, use_reentrant=False) for part in parts]
        return torch.stack(found).sum()

    def evaluator(self) -> Evaluator:
        return Likelihoods(self)

    def chance(self, outputs: int) -> float:
        return float(outputs) if self.unigram is None else self.unigram

    def noise(self, found: Found) -> float | None:
        """Return the 95 % half-width of a perplexity, from the spread of its windows' mean losses.

        That of its logarithm, 1.96 standard deviations of them over the root of their number, times
        the perplexity. None for fewer than two windows.
        """
        windows, total, squares = (found.sums[key] for key in ("windows", "means", "squares"))
        if windows < 2:
            return None
        variance = max(squares - total**2 / windows, 0.0) / (windows - 1)
        return found.values[self.headline.name] * 1.96 * sqrt(variance / windows)

    def paired_noise(self, found: Found, other: Found) -> float | None:
        """Return the 95 % half-width of the difference of two logarithms of perplexity.

        Windows are paired: what makes one hard for both networks cancels out.
        """
        if len(found.parts) < 2 or len(found.parts) != len(other.parts):
            return None
        pairs = zip(found.parts, other.parts, strict=True)
        return 1.96 * stdev(ours - theirs for ours, theirs in pairs) / sqrt(len(found.parts))


def _exact(rows: Tensor) -> Tensor:
    """Return rows of logits in float32 at least."""
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def _summed(rows: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of rows of logits, added up."""
    return cross_entropy(_exact(rows), labels, reduction="sum")


_UNSEEN = -1.0
"""Stands for the mean loss of a window of which nothing counts."""


class Likelihoods(Evaluator):
    """Negative log-likelihoods in nats, added up on the device.

    What is kept are sums in float64 and the mean loss of every window, so that parts of a split can
    be merged.

    Args:
        task: Says which rows and labels are meant.
    """

    def __init__(self, task: LanguageModel) -> None:
        self.task = task
        self.examples = 0
        self._sums: Tensor | None = None
        self._means: list[Tensor] = []
        self._bytes_of = task.bytes_of  # on the device, once there is a batch

    @torch.no_grad()
    def add(self, outputs: Any, targets: Tensor) -> None:
        rows, labels = _exact(self.task.rows(outputs)), self.task.labels(targets)
        losses = cross_entropy(rows, labels, reduction="none").double().view(targets.shape)
        counted = targets != UNCOUNTED
        lengths = counted.sum(1)
        seen = lengths > 0
        means = losses.sum(1) / lengths.clamp(min=1)
        found = [
            losses.sum(),
            (rows.argmax(1) == labels).sum(),
            counted.sum(),
            self._bytes(targets, counted),
            seen.sum(),
            means.sum(),
            means.square().sum(),
        ]
        if self._sums is None:
            self._sums = torch.zeros(len(found), dtype=torch.float64, device=rows.device)
        self._sums += torch.stack([value.double() for value in found])
        self._means.append(means.where(seen, _UNSEEN))
        self.examples += len(targets)

    def _bytes(self, tokens: Tensor, counted: Tensor) -> Tensor:
        """Return how many bytes those ``tokens`` stand for that are ``counted``, []."""
        if self._bytes_of is None:
            return counted.sum()
        self._bytes_of = self._bytes_of.to(tokens)
        return self._bytes_of[tokens.clamp(min=0)].where(counted, 0).sum()

    def merge(self, other: Self) -> None:
        if other._sums is not None:
            mine = torch.zeros_like(other._sums) if self._sums is None else self._sums
            self._sums = mine + other._sums.to(mine.device)
            self._means += [means.to(mine.device) for means in other._means]
        self.examples += other.examples

    def result(self) -> Found:
        if self._sums is None:
            raise ValueError("nothing was evaluated")
        found = transfers.to_host(torch.cat([self._sums, *self._means]))
        loss, right, count, size, windows, total, squares = found[: len(self._sums)]
        if not count:
            raise ValueError("no position counts: every target is -100")
        values = {
            "perplexity": _exp(loss / count),
            "bits_per_byte": loss / (log(2) * size) if size else inf,
            "next_top1": 100 * right / count,
            LOSS: loss / count,
        }
        sums = {"windows": windows, "means": total, "squares": squares}
        parts = tuple(mean for mean in found[len(self._sums) :] if mean != _UNSEEN)
        return Found(values, self.examples, sums, parts)


def _exp(value: float) -> float:
    """Return e to the power of ``value``; the largest number where it is larger than any.

    Records know no infinity.
    """
    try:
        return exp(value)
    except OverflowError:
        return sys.float_info.max
