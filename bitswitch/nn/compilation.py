"""Make compiled graphs cheap to start: one cache for all jobs, nothing done twice."""

import hashlib
import inspect
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx, nn

from bitswitch.quant import granularity, grid, ste
from bitswitch.runtime.locks import keep_compiled_code_private

TRACED = (ste, grid, granularity)
"""Modules whose functions the compiler traces as one; their source is part of its cache key."""


def compiler(net: nn.Module) -> str | Callable[..., object]:
    """Return the backend of ``torch.compile`` for a network.

    What is quantized is kept for the backward pass beside what it was quantized from, as the
    compiler has it, where convolutions set the time: quantizing again would cost 3 % more.
    Where there are none, all quantized values are computed again: large decoders are short of
    memory, and matrix products hide the time.
    """
    if any(isinstance(module, nn.modules.conv._ConvNd) for module in net.modules()):
        return "inductor"
    return _quantizing_again


def _quantizing_again(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> object:
    """Compile a graph that keeps as little as eager code for the backward pass."""
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx

    with config.patch(
        ban_recompute_materialized_backward=False, ban_recompute_used_far_apart=False
    ):
        return compile_fx(graph, inputs)


def prepare_compilation() -> None:
    """Set up the compiler for this process; calling it again changes nothing.

    - Compiled code is kept in a folder of the user's own.
    - The straight-through function is handed to the compiler whole, which traces it faster.
    - The instruction sets that the processor reports are believed; trying each with a program
      of its own takes a third of a cold start. ``TORCHINDUCTOR_VEC_ISA_OK`` overrides that.
    """
    from torch._inductor import config

    keep_compiled_code_private()
    torch.compiler.allow_in_graph(ste.on_grid)  # type: ignore[no-untyped-call]
    source = "".join(map(inspect.getsource, TRACED))
    name = f"{ste.on_grid.__module__}.{ste.on_grid.__name__}"
    config.unsafe_marked_cacheable_functions[name] = hashlib.sha256(source.encode()).hexdigest()
    if config.cpp.vec_isa_ok is None:
        config.cpp.vec_isa_ok = True
