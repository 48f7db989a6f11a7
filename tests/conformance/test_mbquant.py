"""MBQuant's learned intervals compute what its public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.methods.mbquant.interval import interval_codes, on_interval
from bitswitch.methods.mbquant.learned_interval import (
    IntervalActivationQuantizer,
    IntervalWeightQuantizer,
)

FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient of one operand, bit-width and upstream gradient
BITSET = (8, 7, 6, 5, 4, 3, 2)
TIGHT = {"w": (0.11, -0.05), "a": (1.5, -0.25)}

with np.load(Path(__file__).parent / "mbquant.npz") as arrays:
    MBQUANT = {key: torch.from_numpy(arrays[key]) for key in arrays}


def bounds(operand, case):
    if case == "tight":
        return tuple(map(torch.tensor, TIGHT[operand]))
    return MBQUANT[f"{operand}_u"], MBQUANT[f"{operand}_l"]


def check(operand, name, case, high, worth, start):
    x = MBQUANT[operand].clone().requires_grad_()
    upper, lower = bounds(operand, case)
    scale = ((upper - lower) / 2).repeat(2).requires_grad_()
    middle = (upper + lower) / 2
    y = on_interval(x, scale, middle, high, worth, start)
    expected = MBQUANT[f"{name}_{case}_y"]
    assert (y - expected).abs().max() <= FORWARD
    codes = interval_codes(x.detach(), scale.detach(), middle, high)
    assert torch.equal(codes, ((expected - start) / worth).round())
    for kind, upstream in (("R", MBQUANT[f"g{'w' if operand == 'w' else 'x'}"]), ("1", None)):
        upstream = torch.ones_like(x) if upstream is None else upstream
        to_x, to_scale = torch.autograd.grad(y, [x, scale], upstream, retain_graph=True)
        found = (to_x, to_scale[0], -to_scale[1])
        published = [MBQUANT[f"{name}_{case}_{of}_{kind}"] for of in ("dx", "du", "dl")]
        limit = GRADIENT * max(gradient.abs().max() for gradient in published)
        assert all((f - p).abs().max() <= limit for f, p in zip(found, published, strict=True))


@pytest.mark.parametrize("case", ["init", "tight"])
def test_weights(case):
    check("w", "w", case, 3.0, 2 / 3, -1.0)


@pytest.mark.parametrize("case", ["init", "tight"])
@pytest.mark.parametrize("bits", BITSET)
def test_activations(bits, case):
    high = 2.0**bits - 1
    check("a", f"a_b{bits}", case, high, 1 / high, 0.0)


def test_initial_bounds():
    weights = IntervalWeightQuantizer(MBQUANT["w"])
    activations = IntervalActivationQuantizer(BITSET)
    activations.initialize(MBQUANT["a"])
    for operand, scale, middle in (
        ("w", weights.scale, weights.middle),
        *(("a", activations.scale.of(bits), activations.middle) for bits in BITSET),
    ):
        torch.testing.assert_close(middle + scale[0], MBQUANT[f"{operand}_u"])
        torch.testing.assert_close(middle - scale[1], MBQUANT[f"{operand}_l"])
