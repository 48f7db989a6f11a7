"""KURE's regularizer and its learned clip values compute what its public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.methods.lapq.clip_value import LearnedClip
from bitswitch.quant.quantizer import Width
from bitswitch.quant.regularizers import kurtosis_penalty, standardized_moment

FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient
CANCELLED = 2e-7  # of the magnitudes summed: the public code sums two large parts that cancel
BITS = (8, 6, 5, 4, 3, 2)

with np.load(Path(__file__).parent / "kure.npz") as arrays:
    KURE = {key: torch.from_numpy(arrays[key]) for key in arrays}


def same_gradient(grad, expected):
    assert (grad - expected).abs().max() <= GRADIENT * expected.abs().max()


@pytest.mark.parametrize("file", ["lsq", "distiller"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_kurtosis(layer, file):
    w = KURE[f"layer{layer}_w"].clone().requires_grad_()
    prefix = f"{file}_layer{layer}"
    penalty = kurtosis_penalty([w])
    torch.testing.assert_close(standardized_moment(w, 4).detach(), KURE[f"{prefix}_kurtosis"])
    torch.testing.assert_close(penalty.detach(), KURE[f"{prefix}_loss"], rtol=1e-5, atol=1e-9)
    same_gradient(*torch.autograd.grad(penalty, [w]), KURE[f"{prefix}_dw"])


@pytest.mark.parametrize("fraction", ["1.0", "0.5"])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("operand", ["w", "a"])
def test_learned_clip_values(operand, bits, fraction):
    x, prefix = KURE[operand], f"klsq_{operand}_b{bits}_frac{fraction}"
    quantizer = LearnedClip(BITS, x if operand == "w" else None)
    quantizer.reach(x)
    clip = quantizer.scale
    clip.data *= float(fraction)
    torch.testing.assert_close(clip.data, KURE[f"{prefix}_alpha"].squeeze(), rtol=1e-6, atol=0)
    width = Width.of(bits, BITS)
    for which in ("R", "1"):
        given = KURE["gw" if operand == "w" else "gx"]
        upstream = given if which == "R" else torch.ones_like(given)
        leaf = x.clone().requires_grad_()
        y = quantizer(leaf, width)
        step, offset = quantizer.grid(width)
        expected = KURE[f"{prefix}_y"]
        assert (y - expected).abs().max() <= FORWARD
        codes = [((v - offset) / step).round() for v in (y, expected)]
        assert torch.equal(*codes)
        to_x, to_clip = torch.autograd.grad(y, [leaf, clip], upstream)
        same_gradient(to_x, KURE[f"{prefix}_dt_{which}"])
        published = KURE[f"{prefix}_dalpha_{which}"].squeeze()
        assert (to_clip - published).abs() <= CANCELLED * upstream.abs().sum()
