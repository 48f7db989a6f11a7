"""How long onnxruntime takes for a network at each bit-width, beside float32, on this machine."""

import hashlib
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import onnxruntime

from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx.export import float_graph_of
from bitswitch.deployment.onnx.runtime import Session
from bitswitch.errors import LatencyBudgetError
from bitswitch.results.provenance import code_hash
from bitswitch.runtime.cache import digest, remembered
from bitswitch.types import FLOAT_BITS

BATCHES = (1, 32)
ROUNDS = 15
WARM_UP = 2
ALIKE = 1.1
"""Bit-widths whose times differ by less than this factor are said to take the same time."""


class Latency(NamedTuple):
    """One network at one bit-width and batch size."""

    bits: int
    """32: the same network in float32."""
    batch: int
    """Images per request."""
    median_ms: float
    """Of one request."""


class WidthInBudget(NamedTuple):
    """A bit-width for a latency."""

    bits: int
    times_ms: Mapping[int, float]
    """What was measured, by bit-width."""

    @property
    def alike(self) -> bool:
        """Whether all bit-widths take about the same time."""
        return max(self.times_ms.values()) < ALIKE * min(self.times_ms.values())


def measure(
    model: IntegerModel,
    batches: Sequence[int] = BATCHES,
    threads: int = 1,
    rounds: int = ROUNDS,
) -> list[Latency]:
    """Return the latency of every bit-width and of float32, at every batch size.

    All take turns, so that other load on the machine hits each of them.

    Args:
        model: Left at its bit-widths.
        batches: Images per request.
        threads: That one request uses.
        rounds: Requests whose median is taken.

    Raises:
        EncodingError: the network cannot be written as ONNX.
    """
    sessions = {bits: Session.of(model, bits, threads) for bits in model.bitset}
    sessions[FLOAT_BITS] = Session(float_graph_of(model), threads)
    found = []
    for batch in batches:
        inputs = model.facts.input.noise(batch, model.facts.classes)
        requests = {bits: partial(session, inputs) for bits, session in sessions.items()}
        times = alternate(requests, rounds)
        found += [Latency(bits, batch, times[bits]) for bits in sessions]
    return found


def alternate(requests: Mapping[int, Callable[[], object]], rounds: int) -> dict[int, float]:
    """Return the median time of each of ``requests`` in milliseconds; they take turns."""
    times: dict[int, list[float]] = {name: [] for name in requests}
    for number in range(rounds + WARM_UP):
        for name, request in requests.items():
            began = perf_counter()
            request()
            if number >= WARM_UP:
                times[name].append(1000 * (perf_counter() - began))
    return {name: median(values) for name, values in times.items()}


def known_latencies(file: Path, threads: int = 1) -> dict[int, float]:
    """Return the milliseconds of one image by bit-width: measured once per file and machine.

    Raises:
        ArtifactError: the file cannot be used.
        EncodingError: its network cannot be written as ONNX.
    """

    def compute() -> dict[str, float]:
        found = measure(load(file), batches=(1,), threads=threads)
        return {str(each.bits): each.median_ms for each in found if each.bits != FLOAT_BITS}

    content = hashlib.sha256(file.read_bytes()).hexdigest()
    machine = (platform.node(), platform.machine(), os.cpu_count())
    code = (onnxruntime.__version__, code_hash("deploy"))
    times = remembered("latencies", digest(content, machine, code, threads), compute)
    return {int(bits): time_ms for bits, time_ms in times.items()}


def widest_within(times_ms: Mapping[int, float], budget_ms: float) -> WidthInBudget:
    """Return the widest bit-width that takes at most ``budget_ms``.

    Raises:
        LatencyBudgetError: none does.
    """
    fitting = [bits for bits, time_ms in times_ms.items() if time_ms <= budget_ms]
    if not fitting:
        raise LatencyBudgetError(budget_ms, times_ms)
    return WidthInBudget(max(fitting), times_ms)
