"""Compiled training steps beside eager ones on the device: equal losses within a bound.

On a GPU the passes of the second step are captured as CUDA graphs, and those that follow replay
them.
"""

from collections.abc import Iterator
from typing import cast

import torch

from bitswitch.bench.gpu.learning import accepted
from bitswitch.bench.gpu.process import NO_TIME
from bitswitch.bench.gpu.setting import (
    Finding,
    LeftOut,
    Setting,
    Stopwatch,
    failed,
    within,
)
from bitswitch.errors import SpecError
from bitswitch.planning.probe import synthetic_step
from bitswitch.results.device_bench import Check, Figure
from bitswitch.spec.run import RunSpec
from bitswitch.training.clock import Instant
from bitswitch.training.step import PassResult

METHODS = ("double-rounding", "lsq", "adabits", "eq-net", "any-precision", "multiquant")
"""Those with kernels of their own; what comes first, most runs need."""
STEPS, LEARNING_RATE = 4, 1e-4
FIRST, LATER = 1e-3, 2e-2
"""How far losses may be apart in the first step and in those after, over the eager loss.

Both round in float32, but not alike, so that now and then a value moves to the next code, and steps
of Adam carry that on. A wrong kernel is off by more than that at once."""


def measure(setting: Setting) -> Iterator[Finding]:
    """Compare as many methods as there is time for; each compiles for about half a minute."""
    watch = Stopwatch(setting)
    for name in METHODS:
        if not watch.has_time():
            yield LeftOut(text=f"{name}: {NO_TIME}")
            continue
        with watch.timed():
            yield from compared(name, setting)


def compared(method: str, setting: Setting) -> Iterator[Finding]:
    """Compare one method; an error is a finding."""
    try:
        yield from _compared(method, setting)
    except Exception as error:
        yield failed(method, error)


def _compared(method: str, setting: Setting) -> Iterator[Finding]:
    torch.compiler.reset()
    steps = [
        synthetic_step(small_step(method, compiled), str(setting.device))
        for compiled in (False, True)
    ]
    for number in range(STEPS):
        began = Instant.now().wall
        eager, compiled = (cast(list[PassResult], step()) for step in steps)
        setting.synchronize()
        if number == 0:
            yield Figure(name=f"{method}, first step", value=Instant.now().wall - began, unit="s")
        yield _losses(f"{method}, step {number + 1}", eager, compiled, LATER if number else FIRST)


def small_step(method: str, compiled: bool) -> RunSpec:
    """Return a run whose steps are compared.

    Raises:
        SpecError: the method runs at no bit set that it is offered.
    """
    run = accepted(method)
    if run is None:
        raise SpecError(f"'{method}' accepts none of the bit sets that it is offered here.")
    changes = {"learning_rate": LEARNING_RATE, "compile": compiled}
    return run.model_copy(update={"training": run.training.model_copy(update=changes)})


def _losses(name: str, eager: list[PassResult], compiled: list[PassResult], limit: float) -> Check:
    apart = (
        abs(one.loss - other.loss) / abs(one.loss)
        for one, other in zip(eager, compiled, strict=True)
    )
    return within(name, max(apart), limit, "its loss is off by a share of")
