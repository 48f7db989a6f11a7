"""One joint training step against four full-precision steps of the same network."""

import os
import tempfile
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

from bitswitch.bench.measured import Measured
from bitswitch.bench.memory import peak_memory_mib
from bitswitch.bench.processes import run_python
from bitswitch.devices import product_name, resolve
from bitswitch.spec import RunSpec
from bitswitch.training.clock import Moment
from bitswitch.training.probe import synthetic_step
from bitswitch.types import FLOAT_BITS

BITSET = (8, 6, 4, 2)
BATCH_SIZE = 64
ROUNDS = 11
EAGER_LIMIT, COMPILED_LIMIT, MEMORY_LIMIT = 1.4, 1.05, 1.3
COLD_LIMIT_S, WARM_LIMIT_S = 25.0, 5.0


class Side(NamedTuple):
    """Four full-precision steps and one joint step, both eager or both compiled."""

    float_s: float
    joint_s: float
    ratio: float
    """Median of the ratios of neighbouring measurements."""
    float_mib: float
    joint_mib: float


def measure() -> Measured:
    """Measure time, memory and compilation of ResNet-20 on 32x32 images, batch 64, {8,6,4,2}."""
    device = resolve("auto")
    torch.set_num_threads(1)
    eager = _compare(compiled=False, device=device)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        cold_s, warm_s = (_compilation_s(cache) for _ in range(2))
        compiled = _compare(compiled=True, device=device)
    memory = max(eager.joint_mib / eager.float_mib, compiled.joint_mib / compiled.float_mib)
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
    clock = "wall time" if device.type == "cuda" else "processor time, one thread"
    title = (
        f"ResNet-20, 32x32, batch {BATCH_SIZE}, {{8,6,4,2}}: one joint step against four FP32 "
        f"steps\n{product_name(device)}, torch {torch.__version__}, {clock}"
    )
    return Measured(title, ("what", "FP32", "joint", "ratio", "target"), tuple(rows), figures)


def _rows(name: str, side: Side, limit: float) -> list[tuple[str, ...]]:
    memory = side.joint_mib / side.float_mib
    times = f"{side.float_s:.3f} s", f"{side.joint_s:.3f} s", f"{side.ratio:.3f}"
    sizes = f"{side.float_mib:.0f} MiB", f"{side.joint_mib:.0f} MiB", f"{memory:.3f}"
    return [
        (f"time, {name}", *times, f"{limit:.2f}"),
        (f"peak memory, {name}", *sizes, f"{MEMORY_LIMIT:.2f}"),
    ]


def spec(joint: bool, compiled: bool) -> RunSpec:
    """Return the run whose training step is measured."""
    return RunSpec.model_validate(
        {
            "method": "double-rounding" if joint else "float32",
            "model": "resnet20",
            "dataset": "cifar10",
            "bitset": BITSET if joint else (FLOAT_BITS,),
            "seed": 0,
            "training": {"epochs": 1, "batch_size": BATCH_SIZE, "compile": compiled},
        }
    ).resolved()


def _compare(compiled: bool, device: torch.device) -> Side:
    """Measure both kinds of step alternately, so that other load on the machine hits both."""
    one = synthetic_step(spec(joint=False, compiled=compiled), str(device))
    joint = synthetic_step(spec(joint=True, compiled=compiled), str(device))

    def four() -> None:
        for _ in BITSET:
            one()

    for work in (four, joint):
        work()
    pairs = [(_seconds(four, device), _seconds(joint, device)) for _ in range(ROUNDS)]
    return Side(
        float_s=median(pair[0] for pair in pairs),
        joint_s=median(pair[1] for pair in pairs),
        ratio=median(pair[1] / pair[0] for pair in pairs),
        float_mib=peak_memory_mib(four, device),
        joint_mib=peak_memory_mib(joint, device),
    )


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return how long ``work`` takes; other processes do not count on a processor."""
    began = Moment.now()
    work()
    ended = Moment.now()
    return ended.wall - began.wall if device.type == "cuda" else ended.cpu - began.cpu


def _compilation_s(cache: str) -> float:
    """Return how much longer the first joint step of a fresh process takes than the second."""
    code = "from bitswitch.bench.step import first_steps; print(*first_steps())"
    first, second = run_python(code, {"TORCHINDUCTOR_CACHE_DIR": cache}).split()
    return float(first) - float(second)


def first_steps() -> tuple[float, float]:
    """Return the wall times of the first two compiled joint steps of this process."""
    step = synthetic_step(spec(joint=True, compiled=True))
    times = []
    for _ in range(2):
        began = Moment.now()
        step()
        times.append(Moment.now().wall - began.wall)
    return times[0], times[1]
