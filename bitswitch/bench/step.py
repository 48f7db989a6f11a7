"""One joint training step against four full-precision steps of the same network."""

import os
import tempfile

import torch

from bitswitch.bench.alternating import BATCH_SIZE, BITSET, Side, compare, spec
from bitswitch.bench.measured import Measured
from bitswitch.bench.processes import run_python
from bitswitch.planning.probe import synthetic_step
from bitswitch.runtime.devices import product_name, resolve
from bitswitch.training.clock import Instant
from bitswitch.types import format_bitset

SETTING = f"ResNet-20, 32x32, batch {BATCH_SIZE}, {format_bitset(BITSET)}"
METHOD = "double-rounding"
EAGER_LIMIT, COMPILED_LIMIT, MEMORY_LIMIT = 1.4, 1.05, 1.3
COLD_LIMIT_S, WARM_LIMIT_S = 25.0, 5.0


def measure() -> Measured:
    """Measure time, memory and compilation of ResNet-20 on 32x32 images, batch 64, {8,6,4,2}."""
    device = resolve("auto")
    torch.set_num_threads(1)
    eager = _compare(compiled=False, device=device)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        cold_s, warm_s = (_compilation_s(cache) for _ in range(2))
        compiled = _compare(compiled=True, device=device)
    memory = max(eager.memory_ratio, compiled.memory_ratio)
    rows = [
        *_rows("eager", eager, EAGER_LIMIT),
        *_rows("compiled", compiled, COMPILED_LIMIT),
        ("compilation, cold", "", f"{cold_s:.1f} s", "", f"{COLD_LIMIT_S:.0f} s"),
        ("compilation, warm", "", f"{warm_s:.1f} s", "", f"{WARM_LIMIT_S:.0f} s"),
    ]
    figures = {
        "joint_over_fp32_compiled": compiled.ratio,
        "joint_over_fp32_eager": eager.ratio,
        "peak_memory_over_fp32": memory,
        "compile_cold_s": cold_s,
        "compile_warm_s": warm_s,
    }
    title = f"{SETTING}: one joint step against four FP32 steps\n{conditions(device)}"
    return Measured(title, ("what", "FP32", "joint", "ratio", "target"), tuple(rows), figures)


def conditions(device: torch.device) -> str:
    """Return on what and how times are measured."""
    clock = "wall time" if device.type == "cuda" else "processor time, one thread"
    return f"{product_name(device)}, torch {torch.__version__}, {clock}"


def _rows(name: str, side: Side, limit: float) -> list[tuple[str, ...]]:
    times = f"{side.float_s:.3f} s", f"{side.joint_s:.3f} s", f"{side.ratio:.3f}"
    sizes = f"{side.float_mib:.0f} MiB", f"{side.joint_mib:.0f} MiB", f"{side.memory_ratio:.3f}"
    return [
        (f"time, {name}", *times, f"{limit:.2f}"),
        (f"peak memory, {name}", *sizes, f"{MEMORY_LIMIT:.2f}"),
    ]


def _compare(compiled: bool, device: torch.device) -> Side:
    return compare({METHOD: spec(METHOD, BITSET, compiled)}, compiled, device)[METHOD]


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
