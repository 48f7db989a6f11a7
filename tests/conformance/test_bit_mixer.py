"""Floored weights compute what the public code of huang2025nearly computes for Bit-Mixer."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.quant.floor import FloorQuantizer
from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.quantizer import Width

FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient of one bit-width and upstream gradient
BITSETS = {8: (8, 6, 4, 2), 4: (4, 3, 2)}

with np.load(Path(__file__).parent / "double_rounding.npz") as stored:
    ARRAYS = {key: torch.from_numpy(stored[key]) for key in stored}


def same_gradients(grads, expected):
    limit = GRADIENT * max(e.abs().max() for e in expected)
    assert all((g - e).abs().max() <= limit for g, e in zip(grads, expected, strict=True))


@pytest.mark.parametrize(("widest", "bits"), [(h, b) for h, bs in BITSETS.items() for b in bs])
def test_floored_weights(widest, bits):
    w, width = ARRAYS["w"], Width.of(bits, BITSETS[widest])
    quantizer = FloorQuantizer(w, BITSETS[widest], granularity=PerChannel(), gradient="printed")
    prefix = f"w_bitmixfloor_h{widest}_b{bits}"
    torch.testing.assert_close(quantizer.scale.flatten(), ARRAYS[f"s_h{widest}"], rtol=1e-6, atol=0)
    quantizer.scale.data = ARRAYS[f"s_h{widest}"].reshape(-1, 1, 1, 1)
    for kind, upstream in {"R": ARRAYS["gw"], "1": torch.ones_like(w)}.items():
        x = w.clone().requires_grad_()
        y = quantizer(x, width)
        expected = ARRAYS[f"{prefix}_y"]
        step = quantizer.scale.detach() * width.ratio
        assert (y - expected).abs().max() <= FORWARD
        assert torch.equal((y / step).round(), (expected / step).round())
        to_x, to_scale = torch.autograd.grad(y, [x, quantizer.scale], upstream)
        summed = to_scale.sum().expand(len(w))  # the public code's, see README.md
        same_gradients(
            (to_x, summed), (ARRAYS[f"{prefix}_dw_{kind}"], ARRAYS[f"{prefix}_ds_{kind}"])
        )
