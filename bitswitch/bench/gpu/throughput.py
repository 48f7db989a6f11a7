"""Seconds, memory and energy of a training step: for all that suites train, most needed first."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil
from typing import Any

import torch

from bitswitch.bench.gpu.process import NO_TIME
from bitswitch.bench.gpu.setting import Finding, LeftOut, Setting, Stopwatch, failed
from bitswitch.bench.memory import peak_memory_mib
from bitswitch.planning.estimates import PROBE_LEARNING_RATE
from bitswitch.planning.networks import unweighted
from bitswitch.planning.probe import Synthetic, synthetic
from bitswitch.plugins import facts
from bitswitch.results.device_bench import MeasuredPasses
from bitswitch.runtime.energy import Meter, MeterError, meter_of
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import load_suite, suite_path
from bitswitch.training.clock import Instant
from bitswitch.training.step import PassResult, queue_step
from bitswitch.training.unread import STEPS

SUITES, TRIAL = ("cifar10", "paper"), ("smoke",)
"""Suites whose runs are measured, on a GPU and to try it out."""
LEAST_STEPS, LEAST_S = 3, 0.6
"""What is measured is as long as both say: counters of energy move a few times a second."""
SHORTER = ("bfloat16", "tf32")
"""Precisions that a recipe may have instead of ``float32``."""

Key = tuple[str, str, str, str, int, str, bool]
"""What tells measured steps apart."""


@dataclass(frozen=True)
class Wanted:
    """A kind of training step, and how many training passes of suites are of it."""

    run: RunSpec
    weight: float

    @property
    def kind(self) -> str:
        """What takes about as long to measure."""
        return "compiled" if self.run.training.compile else self.run.model.name

    @property
    def name(self) -> str:
        """What it is, in a few words."""
        training = self.run.training
        parts = (self.run.model.name, self.run.method.name, f"batch {training.batch_size}")
        compiled = ("compiled",) if training.compile else ()
        return ", ".join((*parts, training.precision, *compiled))


def measure(setting: Setting) -> Iterator[Finding]:
    """Measure one kind of step after the other."""
    try:
        meter: Meter | None = meter_of(setting.device)
    except MeterError as error:
        meter = None
        yield LeftOut(text=f"energy: {error}")
    watch = Stopwatch(setting)
    for wanted in in_order(TRIAL if setting.is_trial else SUITES):
        if not watch.has_time(wanted.kind):
            yield LeftOut(text=f"{wanted.name}: {NO_TIME}")
            continue
        with watch.timed(wanted.kind):
            found = measured(wanted, setting, meter)
        yield found


def in_order(suites: Sequence[str]) -> list[Wanted]:
    """Return the kinds of steps of ``suites``, each once.

    First every network at full precision and with the method that takes most of its passes; then
    all others of the first suite; then two of the first ones compiled, and all of them with shorter
    operands where their recipe says 32 bits; then what is left. Within a suite, what takes most
    passes comes first.
    """
    kinds = [_kinds(name) for name in suites]
    everything = list(chain(*kinds))
    first = list(_first_of_networks(everything))
    short = [
        _changed(one, precision=precision)
        for precision in SHORTER
        for one in first
        if one.run.training.precision == "float32"
    ]
    compiled = [_changed(one, compile=True) for one in first if not one.run.is_float]
    order = (*first, *kinds[0], *compiled[:2], *short, *everything, *compiled)
    found: dict[Key, Wanted] = {}
    for one in order:
        found.setdefault(_key(one.run), one)
    return list(found.values())


def _kinds(suite: str) -> list[Wanted]:
    """Return the kinds of steps of one suite, those first that it takes most passes of.

    Of each, what most of its passes are is measured: bit set, updates and options of the method.
    """
    kinds: dict[Key, dict[str, Wanted]] = {}
    for run in load_suite(suite_path(suite)).runs.values():
        if not facts.trains(run):
            continue
        bare = still(run)
        alike = kinds.setdefault(_key(bare), {})
        images = facts.dataset_facts(run.dataset.name, run.dataset.options)["sizes"]["train"]
        passes = run.training.epochs * len(run.bitset) * images / run.training.batch_size
        before = alike[bare.run_id].weight if bare.run_id in alike else 0.0
        alike[bare.run_id] = Wanted(bare, before + passes)
    found = [
        Wanted(
            max(alike.values(), key=lambda one: one.weight).run,
            sum(one.weight for one in alike.values()),
        )
        for alike in kinds.values()
    ]
    return sorted(found, key=lambda one: -one.weight)


def _first_of_networks(kinds: list[Wanted]) -> Iterator[Wanted]:
    """Yield, of every network, the first at full precision and the first that switches."""
    seen = set()
    for one in kinds:
        network = one.run.model.name, one.run.dataset.name, one.run.is_float
        if network not in seen:
            seen.add(network)
            yield one


def still(run: RunSpec) -> RunSpec:
    """Return ``run`` from random weights that stay as they are, its first seed."""
    training = run.training.model_copy(update={"learning_rate": PROBE_LEARNING_RATE})
    changes: dict[str, Any] = {"training": training, "start": None, "seed": 0}
    return unweighted(run).model_copy(update=changes)


def _changed(wanted: Wanted, **training: Any) -> Wanted:
    changed = wanted.run.training.model_copy(update=training)
    return Wanted(wanted.run.model_copy(update={"training": changed}), 0.0)


def _key(run: RunSpec) -> Key:
    training = run.training
    network = (run.model.name, repr(run.model.options), run.dataset.name, run.method.name)
    return (*network, training.batch_size, training.precision, training.compile)


def measured(wanted: Wanted, setting: Setting, meter: Meter | None) -> Finding:
    """Measure one kind of step; too little memory is no failure, another error is."""
    try:
        return _measured(wanted.run, setting, meter)
    except torch.OutOfMemoryError as error:
        return LeftOut(text=f"{wanted.name}: {str(error).partition('. ')[0]}")
    except Exception as error:
        return failed(wanted.name, error)
    finally:
        gc.collect()
        if wanted.run.training.compile:
            torch.compiler.reset()
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()


def _measured(run: RunSpec, setting: Setting, meter: Meter | None) -> MeasuredPasses:
    made: list[Synthetic] = []

    def begin() -> None:
        made.append(synthetic(run, str(setting.device)))
        take(made[0], 1, setting)

    memory = peak_memory_mib(begin, setting.device)
    take(made[0], 1, setting)  # the first allocated, and compiled; this one may be captured
    began = Instant.now().wall
    take(made[0], 1, setting)
    steps = max(LEAST_STEPS, ceil(LEAST_S / (Instant.now().wall - began)))
    if meter:
        meter.read()
    began = Instant.now().wall
    passes = take(made[0], steps, setting)
    taken = Instant.now().wall - began
    return MeasuredPasses(
        model=run.model.name,
        model_options=run.model.options,
        dataset=run.dataset.name,
        method=run.method.name,
        bitset=run.bitset,
        batch_size=run.training.batch_size,
        precision=run.training.precision,
        compile=run.training.compile,
        passes=passes / steps,
        step_s=taken / steps,
        peak_memory_mib=memory,
        energy_j=None if meter is None else meter.read() / steps,
    )


def take(training: Synthetic, steps: int, setting: Setting) -> int:
    """Take steps as runs do, which seldom wait for what they find; return how many passes.

    When it returns, the device is done.
    """
    results: list[PassResult] = []
    unread = training.train_state.unread
    for number in range(1, steps + 1):
        queue_step(*training, results.extend)
        if number % STEPS == 0:
            unread.read()
    unread.read()
    setting.synchronize()
    return len(results)
