"""GPTQ, MatGPTQ and slices give the codes that the public code of MatGPTQ gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.methods.gptq.grids import Grid, GridRule
from bitswitch.methods.gptq.rounders import GridRounder, SliceRounder
from bitswitch.methods.gptq.sweep import Order, prepared, sweep
from bitswitch.quant.granularity import PerChannel, PerGroup
from bitswitch.quant.integer import shift_half_up
from bitswitch.quant.quantizer import Width

DAMPING = 0.01
GRIDS = {"sym": "full-range", "asym": "asymmetric"}
GRANULARITIES = {"channel": PerChannel(), "group16": PerGroup(16), "order": PerChannel()}
SLICES = {
    "842": {8: 1.0, 4: 1.0, 2: 1.0},
    "8642w": {8: 0.1, 6: 0.5, 4: 0.25, 2: 1.0},
    "8": {8: 1.0},
}

with np.load(Path(__file__).parent / "matgptq.npz") as arrays:
    ARRAYS = {key: torch.from_numpy(arrays[key]) for key in arrays}


def compare(rounder, kind, key):
    """Compare codes exactly, and grids: the public code counts codes from zero."""
    weight, x = ARRAYS["w"], ARRAYS["x"]
    order = Order(rounder.group(weight), key.endswith("order"))
    hessian = 2 * x.T @ x  # of one example
    codes = sweep(*prepared(weight[None], hessian[None]), rounder, order, DAMPING)[0]
    half = -int(rounder.width.signed_low)
    assert torch.equal(codes.int() + half, ARRAYS[f"{key}_q"].int())
    scale, zero = ARRAYS[f"{key}_s"], ARRAYS[f"{key}_z"]
    published = Grid(scale, -(zero - half) * scale)
    for mine, theirs in zip(rounder.fitted(weight), published, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("symmetry", GRIDS)
@pytest.mark.parametrize("bits", [4, 3, 2])
def test_gptq(bits, symmetry, granularity):
    width, kind = Width.of(bits, (bits,)), GRIDS[symmetry]
    rounder = GridRounder(width, GridRule(GRANULARITIES[granularity], kind))
    compare(rounder, kind, f"gptq_b{bits}_{symmetry}_{granularity}")


@pytest.mark.parametrize("granularity", ["channel", "group16"])
@pytest.mark.parametrize("symmetry", GRIDS)
@pytest.mark.parametrize("slices", SLICES)
def test_matgptq(slices, symmetry, granularity):
    bitset, kind = tuple(SLICES[slices]), GRIDS[symmetry]
    rounder = SliceRounder(
        Width.of(8, bitset), GridRule(GRANULARITIES[granularity], kind), SLICES[slices]
    )
    compare(rounder, kind, f"mat_{slices}_{symmetry}_{granularity}")


@pytest.mark.parametrize("bits", range(7, 1, -1))
def test_slices(bits):
    codes = torch.arange(256, dtype=torch.int32)
    sliced = shift_half_up(codes, 8 - bits).clamp(max=2**bits - 1)
    assert torch.equal(sliced, ARRAYS[f"slice_b{bits}"].int())
    signed = shift_half_up(codes - 128, 8 - bits).clamp(max=2 ** (bits - 1) - 1)
    assert torch.equal(signed + 2 ** (bits - 1), sliced)
