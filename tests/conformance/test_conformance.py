"""The quantizers compute what the published code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.granularity import PER_TENSOR, PerChannel
from bitswitch.quant.initial import three_sigma_scale
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.report.analysis import staircases

HERE = Path(__file__).parent
FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient of one quantizer, bit-width and upstream gradient
ROUNDINGS = {"double": "double", "shift": "shift", "lsqround": "single", "bitmixfloor": "floor"}
BITSETS = {8: (8, 6, 4, 2), 4: (4, 3, 2)}


def vectors(name):
    with np.load(HERE / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


DOUBLE_ROUNDING, LSQ, ADABITS = map(vectors, ("double_rounding", "lsq", "adabits"))


def run(quantizer, x, upstream, width):
    """Return forward, gradient to x and gradient to the scale in use."""
    x = x.clone().requires_grad_()
    y = quantizer(x, width)
    used = [p for p in quantizer.parameters() if p.numel()]
    grads = torch.autograd.grad(y, [x, *used], upstream, allow_unused=True)
    return y.detach(), grads[0], next(g for g in grads[1:] if g is not None)


def same_grid(y, expected, step):
    assert (y - expected).abs().max() <= FORWARD
    assert torch.equal((y / step).round(), (expected / step).round())


def same_gradients(grads, expected):
    """Compare; the public scale gradients are small differences of large float32 sums."""
    limit = GRADIENT * max(e.abs().max() for e in expected)
    assert all((g - e).abs().max() <= limit for g, e in zip(grads, expected, strict=True))


def upstreams(x):
    fixed = DOUBLE_ROUNDING["gw" if x.shape == DOUBLE_ROUNDING["w"].shape else "gx"]
    return {"R": fixed, "1": torch.ones_like(x)}


@pytest.mark.parametrize("published", ROUNDINGS)
@pytest.mark.parametrize(("widest", "bits"), [(h, b) for h, bs in BITSETS.items() for b in bs])
def test_double_rounding_weights(published, widest, bits):
    arrays, w = DOUBLE_ROUNDING, DOUBLE_ROUNDING["w"]
    rounding, width = ROUNDINGS[published], Width.of(bits, BITSETS[widest])
    quantizer = DoubleRoundingQuantizer(
        w, BITSETS[widest], PerChannel(), rounding, gradient="printed"
    )
    quantizer.scale.data = arrays[f"s_h{widest}"].reshape(-1, 1, 1, 1)
    prefix = f"w_{published}_h{widest}_b{bits}"
    for kind, upstream in upstreams(w).items():
        y, to_x, to_scale = run(quantizer, w, upstream, width)
        same_grid(y, arrays[f"{prefix}_y"], quantizer.scale * width.ratio)
        summed = to_scale.sum().expand(len(w))  # the public code's, see README.md
        expected = arrays[f"{prefix}_dw_{kind}"], arrays[f"{prefix}_ds_{kind}"]
        same_gradients((to_x, summed), expected)


@pytest.mark.parametrize("widest", BITSETS)
def test_initial_weight_scale(widest):
    step = three_sigma_scale(DOUBLE_ROUNDING["w"], widest, granularity=PerChannel()).flatten()
    torch.testing.assert_close(step, DOUBLE_ROUNDING[f"s_h{widest}"], rtol=1e-6, atol=0)


def activations(arrays, prefix, bits):
    a = arrays["a"]
    quantizer = ActivationQuantizer((bits,), init="mean")
    quantizer.scale.of(bits).data = arrays[f"{prefix}_s"].reshape(())
    for kind, upstream in upstreams(a).items():
        y, to_x, to_scale = run(quantizer, a, upstream, Width.of(bits, (bits,)))
        same_grid(y, arrays[f"{prefix}_y"], quantizer.scale.of(bits))
        expected = arrays[f"{prefix}_da_{kind}"], arrays[f"{prefix}_ds_{kind}"].reshape(())
        same_gradients((to_x, to_scale), expected)


@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_double_rounding_activations(bits):
    activations(DOUBLE_ROUNDING, f"a_b{bits}", bits)


@pytest.mark.parametrize("start", ["s1", "spaper"])
@pytest.mark.parametrize("bits", [8, 6, 5, 4, 3, 2])
def test_lsq_activations(bits, start):
    activations(LSQ, f"a_b{bits}_{start}", bits)


@pytest.mark.parametrize(("init", "start"), [("mean", "spaper"), ("one", "s1")])
@pytest.mark.parametrize("bits", [8, 6, 5, 4, 3, 2])
def test_initial_activation_scale(bits, init, start):
    quantizer = ActivationQuantizer((bits,), init)
    quantizer.initialize(LSQ["a"])
    expected = LSQ[f"a_b{bits}_{start}_s"].reshape(())
    torch.testing.assert_close(quantizer.scale.of(bits).data, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("granularity", [PER_TENSOR, PerChannel()], ids=str)
@pytest.mark.parametrize("bits", [8, 6, 5, 4, 3, 2])
def test_lsq_weights(bits, granularity, symmetric):
    w = LSQ["w"]
    shape = granularity.scale_shape(w.shape)
    prefix = (
        f"w_b{bits}_{'pt' if granularity == PER_TENSOR else 'pc'}_{'sym' if symmetric else 'full'}"
    )
    quantizer = WeightQuantizer(w, (bits,), granularity, symmetric, gradient_count="tensor")
    step = quantizer.scale.of(bits)
    published = LSQ[f"{prefix}_s"].reshape(shape)
    torch.testing.assert_close(step.data, published, rtol=1e-6, atol=0)
    step.data = published
    for kind, upstream in upstreams(w).items():
        y, to_x, to_scale = run(quantizer, w, upstream, Width.of(bits, (bits,)))
        same_grid(y, LSQ[f"{prefix}_y"], step)
        expected = LSQ[f"{prefix}_dw_{kind}"], LSQ[f"{prefix}_ds_{kind}"].reshape(shape)
        same_gradients((to_x, to_scale), expected)


@pytest.mark.parametrize("bits", [8, 6, 5, 4, 3, 2])
def test_adabits_staircase(bits):
    squashed = torch.tanh(ADABITS["w"])
    y = staircases.adabits((squashed / squashed.abs().max()).numpy(), 8, bits)
    same_grid(torch.from_numpy(y), ADABITS[f"conv_modified_none_b{bits}_y"], 2.0 ** (1 - bits))


@pytest.mark.parametrize("name", ["double", "floor", "lsq"])
@pytest.mark.parametrize("bits", [8, 6, 4, 2])
def test_staircases_are_those_of_the_quantizers(name, bits):
    x = torch.linspace(-1.2, 1.2, 2401)
    step = 2.0 ** (1 - bits if name == "lsq" else -7)
    if name == "lsq":
        quantizer = WeightQuantizer(x[:, None], BITSETS[8])
        quantizer.scale.of(bits).data.fill_(step)
    else:
        quantizer = DoubleRoundingQuantizer(x[:, None], BITSETS[8], rounding=name)
        quantizer.scale.data.fill_(step)
    drawn = {"double": "double_rounding", "floor": "bit_mixer", "lsq": "lsq"}[name]
    expected = getattr(staircases, drawn)(x.numpy(), 8, bits)
    y = quantizer(x, Width.of(bits, BITSETS[8]))
    assert torch.equal(y.detach(), torch.from_numpy(expected).float())
