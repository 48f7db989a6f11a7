"""How long an integer model takes to switch."""

import time
from statistics import median

import torch

from bitswitch.deployment.model import IntegerModel
from bitswitch.results.deployments import SWITCHES


def switch_times(model: IntegerModel, device: torch.device) -> dict[int, float]:
    """Return the seconds of a switch to each bit-width: the median of ``SWITCHES``, after one more.

    To the widest it is made from the narrowest, to any other from the widest. On a processor, time
    is that of the process; on a GPU the switch is waited for.

    Args:
        model: Is left at the widest bit-width.
        device: Where it is.
    """
    widest, *others = model.bitset
    found: dict[int, list[float]] = {bits: [] for bits in model.bitset}
    for _ in range(1 + SWITCHES):
        for bits in others:
            found[bits].append(_seconds(model, bits, device))
            back = _seconds(model, widest, device)
        if others:
            found[widest].append(back)
    return {bits: median(times[1:]) for bits, times in found.items() if times}


def _seconds(model: IntegerModel, bits: int, device: torch.device) -> float:
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    if on_gpu:
        torch.cuda.synchronize(device)
    began = clock()
    model.switch(bits)
    if on_gpu:
        torch.cuda.synchronize(device)
    return clock() - began
