"""Make compiled graphs cheap to start: one cache for all jobs, nothing done twice."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, fx, nn

from bitswitch.quant import granularity, grid, ste
from bitswitch.runtime.locks import keep_compiled_code_private

KEEPING = ("ban_recompute_materialized_backward", "ban_recompute_used_far_apart")
"""Options of the partitioner that keep quantized values beside the values themselves."""

CUDA_GRAPHS = {"triton.cudagraphs": True}
"""What ``torch.compile`` sets for its mode ``reduce-overhead``."""

TRACED = (ste, grid, granularity)
"""Modules whose functions the compiler traces as one; their source is part of its cache key."""


CAPTURING = ("cuda",)
"""Devices that can replay a compiled graph without launching its kernels one by one."""

MOST_CAPTURED = 128
"""Passes that are captured in a run; where there would be more, launching kernels costs less."""


def compiler(net: nn.Module, captured: bool = False) -> str | Callable[..., object]:
    """Return the backend of ``torch.compile`` for a network.

    What is quantized is kept for the backward pass beside what it was quantized from, as the
    compiler has it, where convolutions set the time: quantizing again would cost 3 % more.
    Where there are none, all quantized values are computed again: large decoders are short of
    memory, and matrix products hide the time.

    Args:
        net: To be compiled.
        captured: Whether its passes are captured as CUDA graphs when they have run once, and
            replayed from then on; see ``begin_captured_step``.
    """
    convolves = any(isinstance(module, nn.modules.conv._ConvNd) for module in net.modules())
    if convolves and not captured:
        return "inductor"
    return partial(_compiled, quantizes_again=not convolves, captured=captured)


def _compiled(
    graph: fx.GraphModule, inputs: Sequence[Tensor], *, quantizes_again: bool, captured: bool
) -> object:
    """Compile a graph, one that keeps as little as eager code for the backward pass if asked."""
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx

    with config.patch(dict.fromkeys(KEEPING if quantizes_again else (), False)):
        return compile_fx(graph, inputs, config_patches=CUDA_GRAPHS if captured else None)


def begin_captured_step() -> None:
    """Say that a training step begins, whose passes follow those before as in every step.

    What a replayed pass leaves, logits and gradients, stays valid until then, and is overwritten
    afterwards. A pass is captured once for each bit-width, and for those of the passes before it.
    """
    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


def prepare_compilation() -> None:
    """Set up the compiler for this process; calling it again changes nothing.

    - Compiled code is kept in a folder of the user's own.
    - The straight-through function is handed to the compiler whole, which traces it faster.
    - Kernels for GPUs divide as eager ones do. By itself the compiler takes an approximation, off
      by up to two units in the last place, and a tie between two codes hangs on the last place.
    - The instruction sets that the processor reports are believed; trying each with a program
      of its own takes a third of a cold start. ``TORCHINDUCTOR_VEC_ISA_OK`` overrides that.
    """
    from torch._inductor import config

    keep_compiled_code_private()
    torch.compiler.allow_in_graph(ste.on_grid)  # type: ignore[no-untyped-call]
    source = "".join(map(inspect.getsource, TRACED))
    name = f"{ste.on_grid.__module__}.{ste.on_grid.__name__}"
    config.unsafe_marked_cacheable_functions[name] = hashlib.sha256(source.encode()).hexdigest()
    if hasattr(config, "eager_numerics"):  # releases of torch before have no such choice
        config.eager_numerics.division_rounding = True
    if config.cpp.vec_isa_ok is None:
        config.cpp.vec_isa_ok = True
