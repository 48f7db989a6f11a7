import math

import pytest
import torch
from torch import nn

from bitswitch.nn.calibration import Observed, observe_inputs
from bitswitch.testing.subject import Subject, batch, quantized


def test_extremes_are_never_missed():
    observed = Observed()
    x = torch.rand(300_000)
    x[1], x[-2] = -4, 9
    observed.add(x)
    observed.add(torch.rand(3))
    values = observed.values()
    assert (values.min(), values.max()) == (-4, 9)
    assert len(values) < 100_000


def test_every_value_counts_once():
    observed, batches = Observed(), (torch.rand(7, 9), torch.randn(3, 5))
    for x in batches:
        observed.add(x)
    assert torch.equal(observed.values(), torch.cat([x.flatten() for x in batches]))


def test_a_layer_that_saw_nothing_has_a_zero():
    assert Observed().values().tolist() == [0]


def test_inputs_are_watched_only_inside_the_block():
    layer = nn.Linear(2, 2)
    with observe_inputs({"layer": layer}) as observed:
        layer(torch.tensor([[1.0, 2.0]]))
    layer(torch.tensor([[7.0, 7.0]]))
    assert observed["layer"].values().tolist() == [1, 2]


def test_scales_start_at_the_mean_of_the_plain_inputs():
    model = quantized(Subject.of("limpq", None, (4, 2)).method())
    model.calibrate([batch(0).inputs, batch(1).inputs])
    name, layer = next(iter(model.layers.items()))
    seen = []
    layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten()))
    model.eval().switch(32)
    with torch.no_grad():
        for number in range(2):
            model(batch(number).inputs)
    mean = float(torch.cat(seen).abs().mean())
    for bits in (4, 2):
        scale = layer.activation_quantizer.scale.of(bits).item()
        assert scale == pytest.approx(2 * mean / math.sqrt(2**bits - 1), rel=1e-6), name
