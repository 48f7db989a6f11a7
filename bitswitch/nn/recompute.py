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

_once: ContextVar[bool] = ContextVar("once", default=False)
"""Whether layers keep what they have quantized, say because a whole block is computed again."""


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
        with quantized_once():
            return self.plain(x, *rest)


@contextmanager
def quantized_once() -> Iterator[None]:
    """Let layers inside keep what they have quantized, as compiled ones with convolutions do."""
    token = _once.set(True)
    try:
        yield
    finally:
        _once.reset(token)


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


def quantized_input(quantizer: Quantizer, x: Tensor, width: Width) -> Tensor:
    """Return ``x`` on its grid, in the precision in which it will be multiplied.

    Where products take 16 bits, codes and scales do not: 8 bits of code need more. For the gradient
    autograd saves the 16 bits of ``x``, which the layer before usually keeps anyway.

    Args:
        quantizer: Of the input.
        x: Input of a layer.
        width: At which width.
    """
    is_short = x.dtype is torch.bfloat16
    wide = x.float() if is_short else x
    if not is_short or torch.compiler.is_compiling():
        quantized: Tensor = quantizer(wide, width)
        return quantized
    with _in_place_of(wide, x.detach().float):
        quantized = quantizer(wide, width)
    return quantized.to(x.dtype) if _multiplies_in_16_bits(x.device) else quantized


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
        quantized: ``quantized_input(quantizer, x, width)``.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled() or quantized is x:
        return nullcontext()
    if _once.get():
        return nullcontext()
    source, dtype = x.detach(), quantized.dtype

    @torch.no_grad()
    def again() -> Tensor:
        wide = source.float() if source.dtype is torch.bfloat16 else source
        found: Tensor = quantizer(wide, width)
        return found.to(dtype)

    return _in_place_of(quantized, again)


def _in_place_of(value: Tensor, make: Callable[[], Tensor]) -> AbstractContextManager[Any]:
    """Return a context in which autograd saves nothing of ``value``, which ``make`` gives again."""
    copy = value.data_ptr()

    def pack(saved: Tensor) -> Tensor | tuple[torch.Size, tuple[int, ...]]:
        return (saved.shape, saved.stride()) if saved.data_ptr() == copy else saved

    def unpack(kept: Tensor | tuple[torch.Size, tuple[int, ...]]) -> Tensor:
        return kept if isinstance(kept, Tensor) else make().as_strided(*kept)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def _multiplies_in_16_bits(device: torch.device) -> bool:
    """Return whether products on ``device`` would round their operands to 16 bits by themselves."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
