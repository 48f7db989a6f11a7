"""Any-Precision's quantizers and its loss compute what its public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.nn.losses import soft_cross_entropy
from bitswitch.quant.clipped import ClippedQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer

FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient
BITS = (8, 6, 5, 4, 3, 2)

with np.load(Path(__file__).parent / "any_precision.npz") as arrays:
    ANY_PRECISION = {key: torch.from_numpy(arrays[key]) for key in arrays}


def compare(quantizer, operand, bits, prefix, unit):
    """Compare forward, its grid point and the gradient; points are ``unit`` / (2^b - 1) apart."""
    x = ANY_PRECISION[operand].clone().requires_grad_()
    y, expected = quantizer(x, Width.of(bits, BITS)), ANY_PRECISION[f"{prefix}_y"]
    assert (y - expected).abs().max() <= FORWARD
    steps = (2**bits - 1) / unit
    assert torch.equal((y * steps).round(), (expected * steps).round())
    fixed = ANY_PRECISION[f"g{operand}"]
    for kind, upstream in (("R", fixed), ("1", torch.ones_like(x))):
        (grad,) = torch.autograd.grad(y, x, upstream, retain_graph=True)
        published = ANY_PRECISION[f"{prefix}_d{operand}_{kind}"]
        assert (grad - published).abs().max() <= GRADIENT * published.abs().max()


@pytest.mark.parametrize("bits", BITS)
def test_weights(bits):
    magnitude = ANY_PRECISION["w"].abs().mean()
    compare(TanhQuantizer("original", "mean"), "w", bits, f"weight_b{bits}", magnitude)


@pytest.mark.parametrize("bits", BITS)
def test_activations(bits):
    compare(ClippedQuantizer(signed=False), "x", bits, f"act_b{bits}", 1.0)


def test_soft_cross_entropy():
    logits = ANY_PRECISION["kd_student"].clone().requires_grad_()
    loss = soft_cross_entropy(logits, ANY_PRECISION["kd_teacher_logits"])
    torch.testing.assert_close(loss.detach(), ANY_PRECISION["kd_loss"], rtol=1e-6, atol=0)
    (grad,) = torch.autograd.grad(loss, logits)
    published = ANY_PRECISION["kd_dstudent"]
    assert (grad - published).abs().max() <= GRADIENT * published.abs().max()
