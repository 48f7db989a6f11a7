"""Peak memory of a piece of work, as the allocator saw it."""

import os
from collections.abc import Callable

import torch

QUIET = ("KINETO_LOG_LEVEL", "99")
"""Of torch's profiler: builds with CUDA print when it starts and stops, in between results."""


def peak_memory_mib(work: Callable[[], object], device: torch.device) -> float:
    """Return the most memory that ``work`` held at once, beyond what was there before it."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    os.environ.setdefault(*QUIET)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        work()
    results = profiler.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 2**20
