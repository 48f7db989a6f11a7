import copy
import io

import pytest
import torch

from bitswitch.conversion import quantize
from bitswitch.errors import BitWidthError
from bitswitch.methods.float32 import Float32
from bitswitch.nn.dataflow import NO_ENDS
from bitswitch.types import FLOAT_BITS

from .small_network import BITSET, double_rounding, float_net

POLICIES = [*BITSET, FLOAT_BITS, {"3": (8, 2), "6": 4, "9": FLOAT_BITS}]


def test_full_precision_is_the_float_network(model, images):
    net = float_net().eval()
    with model.eval().at(FLOAT_BITS):
        assert torch.equal(model(images), net(images))


def test_float32_leaves_the_network_alone(images):
    net = float_net()
    before = list(net.modules())
    model = quantize(net, Float32(Float32.Options(), (FLOAT_BITS,)))
    assert list(net.modules()) == before
    assert model.layers == model.scale_parameters() == {}
    with model.at(FLOAT_BITS):
        assert torch.equal(model(images), float_net()(images))
    with pytest.raises(BitWidthError, match="nearest is 32"):
        model.switch(8)


def test_narrower_is_further_from_float(model, images):
    model.eval()
    outputs = {}
    for bits in (*BITSET, FLOAT_BITS):
        with model.at(bits):
            outputs[bits] = model(images)
    errors = [(outputs[b] - outputs[FLOAT_BITS]).norm().item() for b in BITSET]
    assert 0 < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_switching_away_and_back_changes_nothing(model, images, policy):
    model.eval()
    model.switch(policy)
    before = model(images)
    with model.at(2), model.at(8):
        model(images)
    assert torch.equal(model(images), before)


def test_an_unknown_policy_leaves_the_old_one(model, images):
    model.eval().switch(4)
    before = model(images)
    with pytest.raises(BitWidthError):
        model.switch({"3": 8, "6": 8, "9": 7})
    with pytest.raises(BitWidthError):
        model.switch(3)
    assert torch.equal(model(images), before)


def test_batch_norm_follows_the_layer_before_it(model):
    model.switch({"3": (8, 2), "6": 4, "9": 4})
    first, second = model.net[1], model.net[4]
    assert (first.copy, second.copy) == (2, 2)
    model.switch({"3": FLOAT_BITS, "6": 4, "9": 4})
    assert second.copy == 8
    for policy in (4, dict.fromkeys(model.layers, 4)):
        model.switch(policy)
        assert (first.copy, second.copy) == (4, 4)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_gradients_reach_exactly_the_parameters_in_use(model, images, policy):
    model.switch(policy)
    model(images).square().mean().backward()
    idle = {id(p) for p in model.inactive_parameters()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert id(parameter) not in idle, name
            assert parameter.grad.isfinite().all(), name
    assert all(p.grad is not None for p in model.active_scales().values())


def test_scales_are_told_from_other_parameters(model):
    scales, others = model.scale_parameters(), model.other_parameters()
    assert scales.keys() | others.keys() == dict(model.named_parameters()).keys()
    assert not scales.keys() & others.keys()
    assert len(scales) == 3 * (1 + len(BITSET))
    model.switch({"3": (8, 2), "6": 4, "9": FLOAT_BITS})
    quantizer = model.layers["3"].activation_quantizer
    assert model.active_scales().keys() == {
        (layer, operand) for layer in ("3", "6") for operand in ("weight", "activation")
    }
    assert model.active_scales()["3", "activation"] is quantizer.scale.of(2)


def test_calibration_decides_signs_and_leaves_statistics_alone(images):
    model = quantize(float_net(), double_rounding(), keep=["11"], ends=NO_ENDS)
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    model.calibrate([images[:3], images[3:]])
    assert model.training
    signed = [layer.activation_quantizer.signed for layer in model.layers.values()]
    assert signed == [True, False, False, True]
    assert all(torch.equal(b, buffers[name]) for name, b in model.named_buffers())


def outputs(model, images):
    model.eval()
    results = []
    for policy in POLICIES:
        with model.at(policy):
            results.append(model(images))
    return results


def same(left, right):
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("assign", [False, True])
def test_state_round_trips_through_a_file(model, images, assign):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = quantize(float_net(seed=7), double_rounding())
    other.load_state_dict(torch.load(file, weights_only=True), assign=assign)
    assert same(outputs(model, images), outputs(other, images))


def test_a_deep_copy_is_independent(model, images):
    model.switch(4)
    other = copy.deepcopy(model)
    before = outputs(other, images)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.switch(2)
    assert other.layers["3"].weight_switch.bits == 4
    assert same(outputs(other, images), before)


def test_channels_last_gives_the_same_numbers(model, images):
    expected = outputs(model, images)
    model.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    for a, b in zip(outputs(model, images), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    features = model.net[:6](images)
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_autocast_quantizes_in_single_precision(model, images):
    with model.at(8):
        expected = model(images)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(images)
            output.float().sum().backward()
    torch.testing.assert_close(output.float(), expected, rtol=0.1, atol=0.1)
    assert model.layers["3"].weight.grad.isfinite().all()


def test_double_precision_works_throughout(model, images):
    model.double()
    with model.at(4):
        model(images.double()).sum().backward()
    layer = model.layers["3"]
    assert layer.weight.grad.dtype == torch.float64
    y = layer.weight_quantizer(layer.weight, layer.weight_switch.width)
    codes = layer.weight_quantizer.encode(layer.weight, layer.weight_switch.width)
    assert torch.equal(codes.decode(), y)
