"""Trade a little time in backward for memory: quantize again instead of keeping a copy."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from bitswitch.quant.quantizer import Quantizer, Width


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
