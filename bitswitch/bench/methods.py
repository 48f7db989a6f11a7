"""A joint step of every method, side by side in one run."""

from collections.abc import Sequence

import torch

from bitswitch.bench.alternating import BITSET, IMAGES, Side, compare, spec
from bitswitch.bench.measured import Measured
from bitswitch.bench.step import conditions, setting
from bitswitch.errors import SpecError
from bitswitch.plugins import facts, registry
from bitswitch.runtime.devices import resolve
from bitswitch.types import BitSet

LIMIT = 1.6
"""Of an eager step over as many FP32 steps as it takes passes."""
FLOAT = "float32"
COLUMNS = ("method", "mode", "passes", "FP32", "joint", "ratio", "target", "memory")


def chosen(names: str) -> list[str]:
    """Return the methods that ``names`` means: ``all`` but full precision, or a list with commas.

    Raises:
        UnknownPluginError: one is not installed.
        SpecError: full precision is what the others are measured by.
    """
    if names == "all":
        return [name for name in registry.names("methods") if name != FLOAT]
    listed = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in listed:
        registry.load("methods", name)
    if FLOAT in listed:
        raise SpecError(f"'{FLOAT}' is what methods are measured by: name others.")
    return listed


def measure(names: Sequence[str], compiled: bool = False) -> Measured:
    """Measure time and memory of one joint step of each method, eager or also compiled."""
    device = resolve("auto")
    torch.set_num_threads(1)
    answers = {name: _bitset(name) for name in names}
    bitsets = {name: answer for name, answer in answers.items() if isinstance(answer, tuple)}
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {}
    for is_compiled in (False, True)[: 1 + compiled]:
        mode = "compiled" if is_compiled else "eager"
        runs = {name: spec(name, bitset, is_compiled) for name, bitset in bitsets.items()}
        for name, side in compare(runs, is_compiled, device).items():
            rows.append(_row(name, mode, side))
            figures |= _figures(name, mode, side)
    refused = [(name, answer) for name, answer in answers.items() if isinstance(answer, str)]
    lines = [
        f"{setting(IMAGES)}: a joint step against FP32 steps, one per pass",
        conditions(device),
    ]
    title = "\n".join([*lines, *(f"{name} is not measured: {reason}" for name, reason in refused)])
    return Measured(title, COLUMNS, tuple(rows), figures)


def _bitset(name: str) -> BitSet | str:
    """Return the bit-widths that ``name`` is measured at, or why it is not measured."""
    cls = registry.load("methods", name)
    if not getattr(cls, "trains", True):
        return "it trains nothing"
    reason = facts.refusal(spec(name, BITSET))
    if reason is None:
        return BITSET
    return reason if facts.refusal(spec(name, BITSET[:1])) else BITSET[:1]


def _row(name: str, mode: str, side: Side) -> tuple[str, ...]:
    limit = f"{LIMIT:.2f}" if mode == "eager" else ""
    times = f"{side.float_s:.3f} s", f"{side.joint_s:.3f} s", f"{side.ratio:.3f}"
    return name, mode, str(side.passes), *times, limit, f"{side.memory_ratio:.2f}"


def _figures(name: str, mode: str, side: Side) -> dict[str, float]:
    return {
        f"{mode}_over_fp32/{name}": side.ratio,
        f"{mode}_memory_over_fp32/{name}": side.memory_ratio,
        f"passes/{name}": side.passes,
    }
