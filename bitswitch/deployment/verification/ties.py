"""Where two evaluations of one network part: a rounding boundary, or something that is wrong."""

from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.runtime import transfers

TOLERANCE = 2.0**-16
"""Share of a grid's range, or of the largest logit: 128 times the precision of float32, which sums
of thousands of products may lose."""


class Trace:
    """Input codes and largest accumulators of the layers of an integer model."""

    def __init__(self) -> None:
        self.codes: dict[str, deque[Tensor]] = defaultdict(deque)
        """Of the last batch, int16, by layer: one per call."""
        self._largest: dict[str, Tensor] = {}

    def observe(self, name: str, codes: Tensor, sums: Tensor) -> None:
        """Keep what one layer has computed."""
        self.codes[name].append(codes.to(torch.int16))
        largest = sums.abs().max()
        before = self._largest.get(name, largest)
        self._largest[name] = torch.maximum(before, largest)

    @property
    def accumulators(self) -> dict[str, int]:
        """Largest magnitude by layer, of all batches."""
        values = (
            transfers.to_host(torch.stack(list(self._largest.values()))) if self._largest else []
        )
        return {name: int(value) for name, value in zip(self._largest, values, strict=True)}


class Causes:
    """Why the codes of each image of a batch differ for the first time.

    A code is excused if it is the neighbour of the other one, and the value lies within
    ``TOLERANCE`` of the range of its grid from the boundary between both. What differs in later
    layers follows from that.

    Args:
        count: Images of the batch.
        device: Of the models.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.tie = torch.zeros(count, dtype=torch.bool, device=device)
        """[n]: all codes that differ first are excused."""
        self.other = torch.zeros(count, dtype=torch.bool, device=device)
        """[n]: one of them is not; neither: no code differs."""

    def add(self, codes: Tensor, others: Tensor, values: Tensor, levels: float) -> None:
        """Take note of the input of one more layer.

        Args:
            codes: [n, ...].
            others: Those of the other evaluation.
            values: What ``codes`` were rounded from, in units of the scale.
            levels: Number of codes of the grid.
        """
        differ = codes != others
        boundary = (codes.double() + others.double()) / 2
        near = (values.double() - boundary).abs() <= TOLERANCE * levels
        excused = near & ((codes - others).abs() == 1)
        count = len(self.tie)
        fresh = differ.reshape(count, -1).any(1) & ~self.tie & ~self.other
        wrong = (differ & ~excused).reshape(count, -1).any(1)
        self.tie |= fresh & ~wrong
        self.other |= fresh & wrong


@contextmanager
def causes_in(model: QuantizedModel, trace: Trace, count: int) -> Iterator[Causes]:
    """Compare the input codes of ``model`` with ``trace`` while it runs, once, inside the block.

    Args:
        model: Is given the batch that the trace is of.
        trace: Of the integer model at the same policy.
        count: Images of the batch.
    """
    causes = Causes(count, next(model.parameters()).device)

    def compare(name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, QuantizedLayer)
        width = layer.activation_switch.width
        if width is None:
            return
        x = inputs[0]
        codes, scale, zero_point = layer.activation_quantizer.encode(x, width)
        values = (x.double() - zero_point) / scale
        causes.add(codes, trace.codes[name].popleft(), values, 2.0 ** float(width.bits))

    with ExitStack() as stack:
        for name, layer in model.quantized_layers.items():
            handle = layer.register_forward_pre_hook(partial(compare, name))
            stack.callback(handle.remove)
        yield causes


def close_logits(logits: Tensor, others: Tensor) -> Tensor:
    """Return whether the classes that both predict have the same logit but for rounding, bool [n].

    Args:
        logits: [n, classes].
        others: Those of the other evaluation.
    """
    classes = torch.stack([logits.argmax(1), others.argmax(1)], dim=1)
    margin = logits.gather(1, classes).diff(dim=1).squeeze(1).abs()
    return margin <= TOLERANCE * logits.abs().amax(1)
