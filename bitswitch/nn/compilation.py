"""Make compiled graphs cheap to start: one cache for all jobs, nothing done twice."""

import hashlib
import inspect

import torch

from bitswitch.quant import granularity, grid, ste
from bitswitch.runtime.locks import keep_compiled_code_private

TRACED = (ste, grid, granularity)
"""Modules whose functions the compiler traces as one; their source is part of its cache key."""


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
