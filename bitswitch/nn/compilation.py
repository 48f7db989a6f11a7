"""Make compiled graphs cheap to start: one cache for all jobs, nothing done twice."""

import hashlib
import inspect
import os
from pathlib import Path

import torch

from bitswitch.locks import private_folder
from bitswitch.quant import grid, ste


def prepare_compilation() -> None:
    """Set up the compiler for this process; calling it again changes nothing.

    - Compiled code is kept in ``~/.cache/bitswitch/compiled``, or, for a user without a home, in
      a temporary folder of theirs alone, unless ``TORCHINDUCTOR_CACHE_DIR`` names another.
    - The straight-through function is handed to the compiler whole, which traces it faster; its
      source is part of the cache key.
    - The instruction sets that the processor reports are believed; trying each with a program
      of its own takes a third of a cold start. ``TORCHINDUCTOR_VEC_ISA_OK`` overrides that.
    """
    from torch._inductor import config

    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_cache_folder())
    torch.compiler.allow_in_graph(ste.on_grid)  # type: ignore[no-untyped-call]
    source = inspect.getsource(ste) + inspect.getsource(grid)
    name = f"{ste.on_grid.__module__}.{ste.on_grid.__name__}"
    config.unsafe_marked_cacheable_functions[name] = hashlib.sha256(source.encode()).hexdigest()
    if config.cpp.vec_isa_ok is None:
        config.cpp.vec_isa_ok = True


def _cache_folder() -> Path:
    """Return where compiled code is kept, which nobody else may write."""
    try:
        folder = Path.home() / ".cache" / "bitswitch" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return private_folder() / "compiled"
    return folder
