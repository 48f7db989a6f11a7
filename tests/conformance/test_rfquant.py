"""RFQuant's weight quantizer computes what its public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.quant.quantizer import Width

FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient of one quantizer, bit-width and upstream gradient

with np.load(Path(__file__).parent / "rfquant.npz") as arrays:
    RFQUANT = {key: torch.from_numpy(arrays[key]) for key in arrays}

W = RFQUANT["w"]
BITSET = tuple(RFQUANT["bits_list"].tolist())
UPSTREAM = {"R": RFQUANT["gw"], "1": torch.ones_like(W)}


def quantizer(gradient_scale):
    return WeightQuantizer(W, BITSET, gradient_scale=gradient_scale, init="three-sigma")


def test_initial_scales():
    steps = torch.stack([quantizer(False).scale.of(bits).data for bits in BITSET])
    torch.testing.assert_close(steps, RFQUANT["s_init"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", UPSTREAM)
@pytest.mark.parametrize("gradient_scale", [False, True])
@pytest.mark.parametrize("bits", BITSET)
def test_weights(bits, gradient_scale, kind):
    prefix = f"w_b{bits}_gs{int(gradient_scale)}"
    quantize = quantizer(gradient_scale)
    steps = [quantize.scale.of(b) for b in BITSET]
    for step, published in zip(steps, RFQUANT["s_init"], strict=True):
        step.data = published.clone()
    x = W.clone().requires_grad_()
    y = quantize(x, Width.of(bits, BITSET))
    expected = RFQUANT[f"{prefix}_y"]
    step = quantize.scale.of(bits)
    assert (y - expected).abs().max() <= FORWARD
    assert torch.equal((y / step).round(), (expected / step).round())
    to_x, *to_steps = torch.autograd.grad(y, [x, *steps], UPSTREAM[kind], allow_unused=True)
    to_step = torch.stack([torch.zeros(()) if g is None else g for g in to_steps])
    published_x, published_step = RFQUANT[f"{prefix}_dw_{kind}"], RFQUANT[f"{prefix}_ds_{kind}"]
    limit = GRADIENT * max(published_x.abs().max(), published_step.abs().max())
    assert (to_x - published_x).abs().max() <= limit
    assert (to_step - published_step).abs().max() <= limit
