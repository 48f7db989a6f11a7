"""Joint training steps beside full-precision steps, measured alternately."""

from collections.abc import Callable, Mapping, Sized
from functools import partial
from statistics import median
from typing import Any, NamedTuple, cast

import torch

from bitswitch.bench.memory import peak_memory_mib
from bitswitch.planning.probe import synthetic_step
from bitswitch.plugins import facts
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec
from bitswitch.training.clock import Instant
from bitswitch.types import FLOAT_BITS, BitSet

BITSET = (8, 6, 4, 2)
ROUNDS = 11


class Subject(NamedTuple):
    """A network, and what it is trained on."""

    title: str
    model: str | dict[str, Any]
    dataset: str
    batch_size: int


IMAGES = Subject("ResNet-20, 32x32", "resnet20", "cifar10", 64)
STAND_IN = Subject(
    "llama-tiny, 2 blocks of width 64, windows of 64", "llama-tiny", "shakespeare", 16
)
"""The decoder of the suites. Its layers do so few products per input that quantizing shows."""
DECODER = Subject(
    "Llama, 2 blocks of width 256, windows of 64",
    {
        "name": "llama",
        "options": {"width": 256, "ffn": 688, "blocks": 2, "heads": 8, "kv_heads": 4},
    },
    "shakespeare",
    16,
)
"""As small as a decoder can be whose products outweigh all else, as in those that are used."""


class Side(NamedTuple):
    """One joint step, and as many full-precision steps as it takes passes."""

    passes: int
    """Of the joint step."""
    float_s: float
    joint_s: float
    ratio: float
    """Median of the ratios of neighbouring measurements."""
    float_mib: float
    joint_mib: float

    @property
    def memory_ratio(self) -> float:
        """Peak memory of the joint step over that of full precision."""
        return self.joint_mib / self.float_mib


def spec(
    method: str = "float32",
    bitset: BitSet = (FLOAT_BITS,),
    compiled: bool = False,
    subject: Subject = IMAGES,
) -> RunSpec:
    """Return the run whose training step is measured; by default the full-precision one.

    A method that can be guided is, by layers that are all alike. Bit-widths have an update each,
    and ALRS where scales are learned: the most that a step can take.
    """
    fields: dict[str, Any] = {
        "method": method,
        "model": subject.model,
        "dataset": subject.dataset,
        "bitset": bitset,
        "seed": 0,
        "training": {
            "epochs": 1,
            "batch_size": subject.batch_size,
            "learning_rate": 5e-4,
            "compile": compiled,
        },
    }
    if facts.is_guided(method):
        fields["sensitivity"] = {"sensitivity": "uniform", "run": dict(fields), "bitset": bitset}
    if bitset == (FLOAT_BITS,):
        return resolved(RunSpec.model_validate(fields))
    fields["training"] |= {"update": "separate"}
    run = resolved(RunSpec.model_validate(fields))
    if facts.learns_scales(run):
        fields["training"] |= {"alrs": {"variant": "relative"}}
    return resolved(RunSpec.model_validate(fields))


def compare(
    runs: Mapping[str, RunSpec], compiled: bool, device: torch.device, subject: Subject = IMAGES
) -> dict[str, Side]:
    """Return every joint run beside full precision.

    In each round every joint step follows its full-precision steps, so that other load on the
    machine hits both.

    Args:
        runs: Joint runs by name, all of the same network, data and training.
        compiled: Whether full precision is compiled too.
        device: Where to run.
        subject: Of all runs.
    """
    one = synthetic_step(spec(compiled=compiled, subject=subject), str(device))
    joint = {name: synthetic_step(run, str(device)) for name, run in runs.items()}
    one()
    passes = {name: len(cast(Sized, step())) for name, step in joint.items()}
    return _alternate(one, joint, passes, device)


def _alternate(
    one: Callable[[], object],
    joint: Mapping[str, Callable[[], object]],
    passes: Mapping[str, int],
    device: torch.device,
) -> dict[str, Side]:
    """Return what ``compare`` does, of steps that are warm."""

    def float_steps(count: int) -> None:
        for _ in range(count):
            one()

    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in joint}
    for _ in range(ROUNDS):
        for name, step in joint.items():
            floats = _seconds(partial(float_steps, passes[name]), device)
            pairs[name].append((floats, _seconds(step, device)))
    float_mib = peak_memory_mib(one, device)
    return {
        name: Side(
            passes=passes[name],
            float_s=median(pair[0] for pair in pairs[name]),
            joint_s=median(pair[1] for pair in pairs[name]),
            ratio=median(pair[1] / pair[0] for pair in pairs[name]),
            float_mib=float_mib,
            joint_mib=peak_memory_mib(step, device),
        )
        for name, step in joint.items()
    }


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return how long ``work`` takes; other processes do not count on a processor."""
    began = Instant.now()
    work()
    ended = Instant.now()
    return ended.wall - began.wall if device.type == "cuda" else ended.cpu - began.cpu
