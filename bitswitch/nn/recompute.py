"""Trade a little time in backward for memory: quantize again instead of keeping a copy."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bitswitch.nn.norms.switchable import STATISTICS
from bitswitch.quant.quantizer import Quantizer, Width

_whole_block: ContextVar[bool] = ContextVar("whole_block", default=False)
"""Whether a whole block is computed again, so that its layers keep nothing of their own."""


def checkpoint_blocks(net: nn.Module, names: Iterable[str]) -> None:
    """Let modules of ``net`` keep only their input in training, and compute the rest again.

    Args:
        net: Is changed; names of its parts stay as they are.
        names: Of modules that map one tensor to one, without random numbers.
    """
    for name in names:
        block = net.get_submodule(name)
        block.forward = _Again(block, block.forward)


class _Again:
    """The forward pass of a block, twice where there is a gradient.

    What it is given besides a tensor, say a cache, is for evaluation, and goes on as it is.
    """

    def __init__(self, block: nn.Module, forward: Callable[..., Tensor]) -> None:
        self.block, self.plain = block, forward

    def __call__(self, x: Tensor, *rest: Any) -> Tensor:
        if not (self.block.training and torch.is_grad_enabled()):
            return self.plain(x, *rest)
        output: Tensor = checkpoint(
            self._alone,
            x,
            *rest,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), _uncounted(self.block)),
        )
        return output

    def _alone(self, x: Tensor, *rest: Any) -> Tensor:
        token = _whole_block.set(True)
        try:
            return self.plain(x, *rest)
        finally:
            _whole_block.reset(token)


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """Leave the statistics of batch norms as they are: they have counted the batch already."""
    kept = [
        (buffer.data, buffer.clone())
        for name, buffer in block.named_buffers()
        if name.rpartition(".")[2] in STATISTICS
    ]
    try:
        yield
    finally:  # torch leaves by an exception once it has all that backward needs
        for data, before in kept:
            data.copy_(before)


def quantized_again_in_backward(
    quantizer: Quantizer, x: Tensor, width: Width, quantized: Tensor
) -> AbstractContextManager[Any]:
    """Return a context in which autograd saves ``x`` in place of ``quantized``.

    The layer before usually keeps ``x`` anyway, so the quantized copy would come on top. Graphs
    that are compiled choose themselves what to keep.

    Args:
        quantizer: Deterministic; it is called again in backward.
        x: What was quantized.
        width: At which width.
        quantized: ``quantizer(x, width)``.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled() or quantized is x:
        return nullcontext()
    if _whole_block.get():
        return nullcontext()
    copy, source = quantized.data_ptr(), x.detach()

    def pack(saved: Tensor) -> Tensor | tuple[torch.Size, tuple[int, ...]]:
        return (saved.shape, saved.stride()) if saved.data_ptr() == copy else saved

    def unpack(kept: Tensor | tuple[torch.Size, tuple[int, ...]]) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        with torch.no_grad():
            again: Tensor = quantizer(source, width)
        return again.as_strided(*kept)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)
