"""DoReFa's quantizers compute what public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer

FORWARD = 1.2e-7  # one float32 epsilon: codes are multiplied where the public code divides
GRADIENT = 2e-5  # of the largest gradient
BITS = (8, 6, 5, 4, 3, 2)

with np.load(Path(__file__).parent / "dorefa.npz") as arrays:
    DOREFA = {key: torch.from_numpy(arrays[key]) for key in arrays}


def compare(quantizer, operand, bits, prefix):
    """Compare forward, its grid point and the gradient of one operand with the vectors."""
    x = DOREFA[operand].clone().requires_grad_()
    y, expected = quantizer(x, Width.of(bits, BITS)), DOREFA[f"{prefix}_y"]
    assert (y - expected).abs().max() <= FORWARD
    levels = 2**bits - 1
    assert torch.equal((y * levels).round(), (expected * levels).round())
    fixed = DOREFA["gw" if operand == "w" else "gx"]
    for kind, upstream in (("R", fixed), ("1", torch.ones_like(x))):
        (grad,) = torch.autograd.grad(y, x, upstream, retain_graph=True)
        published = DOREFA[f"{prefix}_d{operand}_{kind}"]
        assert (grad - published).abs().max() <= GRADIENT * published.abs().max()


@pytest.mark.parametrize("bits", BITS)
def test_weights(bits):
    compare(TanhQuantizer("original"), "w", bits, f"dorefa_w_b{bits}")


@pytest.mark.parametrize("bits", BITS)
def test_activations(bits):
    compare(ClippedQuantizer(signed=False), "a", bits, f"dorefa_a_b{bits}")
