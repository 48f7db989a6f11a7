"""AdaBits' quantizers and its linear layers compute what its public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.methods.adabits import AdaBits
from bitswitch.nn.dataflow import NO_ENDS
from bitswitch.quant.clipped import LearnedClipQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.types import FLOAT_BITS

FORWARD = 1.2e-7  # one float32 epsilon: codes are multiplied where the public code divides
GRADIENT = 2e-5  # of the largest gradient of one quantizer and upstream gradient

with np.load(Path(__file__).parent / "adabits.npz") as arrays:
    ADABITS = {key: torch.from_numpy(arrays[key]) for key in arrays}

BITS = tuple(ADABITS["bits_list"].tolist())
KINDS = [("modified", "none"), ("original", "none"), ("centered", "none")]
KINDS += [("modified", "constant"), ("modified", "stddev")]


def same(grads, published):
    limit = GRADIENT * max(p.abs().max() for p in published)
    assert all((g - p).abs().max() <= limit for g, p in zip(grads, published, strict=True))


def upstreams(x):
    return {"R": ADABITS["gw" if len(x) == 16 else "gx"], "1": torch.ones_like(x)}


@pytest.mark.parametrize(("scheme", "rescale"), KINDS)
@pytest.mark.parametrize("bits", BITS)
def test_weights(bits, scheme, rescale):
    prefix, width = f"conv_{scheme}_{rescale}_b{bits}", Width.of(bits, BITS)
    quantizer, w = TanhQuantizer(scheme, rescale), ADABITS["w"].clone().requires_grad_()
    y, expected = quantizer(w, width), ADABITS[f"{prefix}_y"]
    assert (y - expected).abs().max() <= FORWARD
    codes = quantizer.encode(w, width)
    published = ((expected - codes.zero_point) / codes.scale).round()
    assert torch.equal(published, codes.values.float())
    for kind, upstream in upstreams(w).items():
        grads = torch.autograd.grad(y, w, upstream, retain_graph=True)
        same(grads, [ADABITS[f"{prefix}_dw_{kind}"]])


@pytest.mark.parametrize("side", ["single", "double"])
def test_both_ends_are_inside_where_the_public_code_counts_neither(side):
    """See DEVIATIONS: y - x is 0 at an end, where the public code has 1 for the clip, 0 for x."""
    quantizer = LearnedClipQuantizer(BITS, 1.5, signed=side == "double")
    ends = [-1.5, 1.5] if side == "double" else [0.0, 1.5]
    x, clip = torch.tensor(ends, requires_grad=True), quantizer.scale.of(4)
    to_x, to_clip = torch.autograd.grad(quantizer(x, Width.of(4, BITS)).sum(), (x, clip))
    assert to_x.tolist() == [1, 1]
    assert float(to_clip) == 0


@pytest.mark.parametrize("side", ["single", "double"])
@pytest.mark.parametrize("alpha", [8.0, 1.5])
@pytest.mark.parametrize("bits", BITS)
def test_activations(bits, alpha, side):
    prefix, width = f"act_{side}_alpha{alpha}_b{bits}", Width.of(bits, BITS)
    quantizer = LearnedClipQuantizer(BITS, alpha, signed=side == "double")
    x, clip = ADABITS["x"].clone().requires_grad_(), quantizer.scale.of(bits)
    y, expected = quantizer(x, width), ADABITS[f"{prefix}_y"]
    assert (y - expected).abs().max() <= FORWARD * alpha
    steps = (2**bits - 1) / alpha
    assert torch.equal((y * steps).round(), (expected * steps).round())
    for kind, upstream in upstreams(x).items():
        grads = torch.autograd.grad(y, [x, clip], upstream, retain_graph=True)
        to_clips = ADABITS[f"{prefix}_dalpha_{kind}"]
        assert to_clips.count_nonzero() <= 1
        same(grads, [ADABITS[f"{prefix}_dx_{kind}"], to_clips[BITS.index(bits)]])


def linear(mode, bits):
    """Return what a linear layer of 64 inputs multiplies with, and what it adds."""
    fc = nn.Linear(64, 10)
    fc.weight.data, fc.bias.data = ADABITS["fc_w"].clone(), ADABITS["fc_b"].clone()
    options = AdaBits.Options(scheme="modified", linear_evaluation="published")
    method = AdaBits(options, BITS)
    model = quantize(nn.Sequential(fc), method, ends=NO_ENDS)
    method.on_quantized(model, 10)
    model.train(mode == "train").switch({"0": (bits, FLOAT_BITS)})
    bias = model(torch.zeros(1, 64))[0]
    model.layers["0"].bias.data.zero_()
    return model(torch.eye(64)).T, bias


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("bits", BITS)
def test_linear_layers(bits, mode):
    weight, bias = linear(mode, bits)
    expected = ADABITS[f"fc_{mode}_b{bits}_weight"]
    assert (weight - expected).abs().max() <= FORWARD * max(1.0, expected.abs().max())
    torch.testing.assert_close(bias, ADABITS[f"fc_{mode}_b{bits}_bias"], rtol=3e-7, atol=0)
