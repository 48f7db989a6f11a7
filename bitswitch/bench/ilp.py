"""How long the exact program takes for a network of 53 layers."""

from collections.abc import Sequence
from itertools import product
from statistics import median

import numpy as np

from bitswitch.bench.measured import Measured
from bitswitch.costs import Constraint, CostModel, LayerShape
from bitswitch.searches.exact.integer_program import Loss, Program
from bitswitch.training.clock import Instant
from bitswitch.types import format_bitset

LAYERS = 53
BITSET = (6, 5, 4, 3, 2)
"""Candidates of tang2022mixed."""
BUDGETS = (3.0, 3.5, 4.0)
"""BitOps of these bit-widths in all layers."""
SEEDS = 3
LIMIT_S = 1.0
SEVERAL = 10
"""Best distinct policies."""


def measure() -> Measured:
    """Measure programs of synthetic networks, those of tied and of separate bit-widths."""
    tied = [(bits, bits) for bits in BITSET]
    apart = list(product(BITSET, BITSET))
    cases = {"seconds": (apart, 1), "tied_seconds": (tied, 1), "several_seconds": (tied, SEVERAL)}
    times = {name: _times(choices, count) for name, (choices, count) in cases.items()}
    rows = [
        (str(len(cases[name][0])), str(cases[name][1]), *(f"{s:.3f} s" for s in _summary(found)))
        for name, found in times.items()
    ]
    limits = [f"{LIMIT_S:.0f} s" if name == "seconds" else "" for name in cases]
    figures = {name: max(found) for name, found in times.items()}
    title = (
        f"{LAYERS} layers, bit-widths {format_bitset(BITSET)}, budget on BitOps, to optimality; "
        f"{SEEDS * len(BUDGETS)} programs each, processor time"
    )
    columns = ("choices per layer", "policies", "median", "slowest", "target")
    table = tuple((*row, limit) for row, limit in zip(rows, limits, strict=True))
    return Measured(title, columns, table, figures)


def _summary(seconds: Sequence[float]) -> tuple[float, float]:
    return median(seconds), max(seconds)


def _times(choices: Sequence[tuple[int, int]], count: int) -> list[float]:
    """Return how long each program takes, costs and losses included."""
    seconds = []
    for seed, bits in product(range(SEEDS), BUDGETS):
        costs, loss = network(seed)
        limit = Constraint("bitops", costs.uniform("bitops", bits))
        began = Instant.now()
        Program(costs, choices, [limit], loss).solve(count)
        seconds.append(Instant.now().cpu - began.cpu)
    return seconds


def network(seed: int) -> tuple[CostModel, Loss]:
    """Return layers of random shape, and a loss of weights and inputs that falls by about 4^-b."""
    draw = np.random.default_rng(seed)
    shapes = [_shape(f"layer{index}", draw) for index in range(LAYERS)]
    sizes = {shape.name: draw.lognormal(0, 1, 2) for shape in shapes}
    noise = {shape.name: draw.lognormal(0, 0.1, (2, max(BITSET) + 1)) for shape in shapes}

    def loss(layer: str, weight: int, activation: int) -> float:
        bits = np.array([weight, activation])
        return float(sizes[layer] @ (noise[layer][[0, 1], bits] * 4.0**-bits))

    return CostModel(shapes), loss


def _shape(name: str, draw: np.random.Generator) -> LayerShape:
    """Return a convolution as in deep residual networks."""
    inputs, outputs = (int(channels) for channels in 64 * 2 ** draw.integers(0, 5, 2))
    kernel, side = int(draw.choice([1, 3])), int(draw.choice([56, 28, 14, 7]))
    weights = inputs * outputs * kernel**2
    return LayerShape(
        name=name,
        kind="conv",
        weights=weights,
        macs=weights * side**2,
        inputs=inputs * side**2,
        scales=1,
        in_channels=inputs,
        out_channels=outputs,
        kernel=kernel,
        stride=1,
        groups=1,
        fixed_bits=None,
    )
