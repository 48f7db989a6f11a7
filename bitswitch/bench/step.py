"""One joint training step against four full-precision steps of the same network."""

import os
import tempfile
from typing import NamedTuple

import torch

from bitswitch.bench.alternating import (
    BITSET,
    DECODER,
    IMAGES,
    STAND_IN,
    Side,
    Subject,
    compare,
    spec,
)
from bitswitch.bench.measured import Measured
from bitswitch.bench.processes import run_python
from bitswitch.planning.probe import synthetic_step
from bitswitch.runtime.devices import product_name, resolve
from bitswitch.training.clock import Instant
from bitswitch.types import format_bitset

METHOD = "double-rounding"
COLD_LIMIT_S, WARM_LIMIT_S = 25.0, 5.0


class Limits(NamedTuple):
    """Of joint steps over full-precision steps."""

    eager: float
    compiled: float
    memory: float


LIMITS = Limits(1.4, 1.05, 1.3)
DECODER_LIMITS = Limits(1.35, 1.06, 1.2)


def setting(subject: Subject) -> str:
    """Return what is measured, in a few words.

    >>> setting(IMAGES)
    'ResNet-20, 32x32, batch 64, {8,6,4,2}'
    """
    return f"{subject.title}, batch {subject.batch_size}, {format_bitset(BITSET)}"


def measure() -> Measured:
    """Measure time, memory and compilation of ResNet-20, and time and memory of two decoders."""
    device = resolve("auto")
    torch.set_num_threads(1)
    eager, decoder, stand_in = (
        _compare(subject, compiled=False, device=device) for subject in (IMAGES, DECODER, STAND_IN)
    )
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        cold_s, warm_s = (_compilation_s(cache) for _ in range(2))
        compiled, decoder_compiled = (
            _compare(subject, compiled=True, device=device) for subject in (IMAGES, DECODER)
        )
    rows = [
        *_rows("eager", eager, LIMITS.eager, LIMITS.memory),
        *_rows("compiled", compiled, LIMITS.compiled, LIMITS.memory),
        ("compilation, cold", "", f"{cold_s:.1f} s", "", f"{COLD_LIMIT_S:.0f} s"),
        ("compilation, warm", "", f"{warm_s:.1f} s", "", f"{WARM_LIMIT_S:.0f} s"),
        *_rows("decoder, eager", decoder, DECODER_LIMITS.eager, DECODER_LIMITS.memory),
        *_rows(
            "decoder, compiled", decoder_compiled, DECODER_LIMITS.compiled, DECODER_LIMITS.memory
        ),
        *_rows("llama-tiny, eager", stand_in, DECODER_LIMITS.eager, DECODER_LIMITS.memory),
    ]
    figures = {
        "joint_over_fp32_compiled": compiled.ratio,
        "joint_over_fp32_eager": eager.ratio,
        "peak_memory_over_fp32": max(eager.memory_ratio, compiled.memory_ratio),
        "compile_cold_s": cold_s,
        "compile_warm_s": warm_s,
        "decoder_joint_over_fp32_compiled": decoder_compiled.ratio,
        "decoder_joint_over_fp32_eager": decoder.ratio,
        "decoder_peak_memory_over_fp32": max(decoder.memory_ratio, decoder_compiled.memory_ratio),
        "llama_tiny_joint_over_fp32_eager": stand_in.ratio,
        "llama_tiny_peak_memory_over_fp32": stand_in.memory_ratio,
    }
    lines = (
        f"{setting(IMAGES)}: one joint step against four FP32 steps",
        f"decoder: {setting(DECODER)}; {setting(STAND_IN)}",
        conditions(device),
    )
    columns = ("what", "FP32", "joint", "ratio", "target")
    return Measured("\n".join(lines), columns, tuple(rows), figures)


def conditions(device: torch.device) -> str:
    """Return on what and how times are measured."""
    clock = "wall time" if device.type == "cuda" else "processor time, one thread"
    return f"{product_name(device)}, torch {torch.__version__}, {clock}"


def _rows(name: str, side: Side, limit: float, memory_limit: float) -> list[tuple[str, ...]]:
    times = f"{side.float_s:.3f} s", f"{side.joint_s:.3f} s", f"{side.ratio:.3f}"
    sizes = f"{side.float_mib:.0f} MiB", f"{side.joint_mib:.0f} MiB", f"{side.memory_ratio:.3f}"
    return [
        (f"time, {name}", *times, f"{limit:.2f}"),
        (f"peak memory, {name}", *sizes, f"{memory_limit:.2f}"),
    ]


def _compare(subject: Subject, compiled: bool, device: torch.device) -> Side:
    run = spec(METHOD, BITSET, compiled, subject)
    return compare({METHOD: run}, compiled, device, subject)[METHOD]


def _compilation_s(cache: str) -> float:
    """Return how much longer the first joint step of a fresh process takes than the second."""
    code = "from bitswitch.bench.step import first_steps; print(*first_steps())"
    first, second = run_python(code, {"TORCHINDUCTOR_CACHE_DIR": cache}).split()
    return float(first) - float(second)


def first_steps() -> tuple[float, float]:
    """Return the wall times of the first two compiled joint steps of this process."""
    step = synthetic_step(spec(METHOD, BITSET, compiled=True))
    times = []
    for _ in range(2):
        began = Instant.now()
        step()
        times.append(Instant.now().wall - began.wall)
    return times[0], times[1]
