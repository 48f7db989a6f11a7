import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.errors import BitWidthError, SpecError
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from tests.nn.small_network import double_rounding, float_net


def test_first_and_last_layer_stay_float():
    model = quantize(float_net(), double_rounding())
    assert list(model.layers) == ["3", "6", "9"]
    assert type(model.net[0]) is nn.Conv2d
    assert type(model.net[11]) is nn.Linear
    assert sum(isinstance(m, SwitchableBatchNorm) for m in model.modules()) == 2


def test_layers_to_keep_may_be_named():
    model = quantize(float_net(), double_rounding(), keep=["3"])
    assert list(model.layers) == ["6", "9"]
    assert type(model.net[3]) is nn.Conv2d
    with pytest.raises(BitWidthError, match="Did you mean '11'"):
        quantize(float_net(), double_rounding(), keep=["111"])


def test_parameters_are_taken_over():
    net = float_net()
    weight = net[3].weight
    assert quantize(net, double_rounding()).layers["3"].weight is weight


def test_a_shared_layer_stays_shared():
    linear = nn.Linear(3, 3)
    net = nn.Sequential(nn.Linear(3, 3), linear, nn.ReLU(), linear, nn.Linear(3, 3))
    model = quantize(net, double_rounding())
    assert list(model.layers) == ["1"]
    assert model.net[1] is model.net[3]


def test_unknown_arithmetic_is_refused_unless_kept():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    def net():
        return nn.Sequential(nn.Linear(3, 3), Doubled(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))

    with pytest.raises(BitWidthError, match=r"'1': Doubled computes something of its own"):
        quantize(net(), double_rounding())
    assert quantize(net(), double_rounding(), keep=["1"]).layers.keys() == {"2"}


def test_an_activation_fused_into_a_batch_norm_stays():
    timm_layers = pytest.importorskip("timm.layers")
    conv = [nn.Conv2d(3, 3, 1) for _ in range(3)]
    net = nn.Sequential(conv[0], timm_layers.BatchNormAct2d(3), conv[1], conv[2])
    x = torch.randn(2, 3, 4, 4)
    expected = net(x)
    model = quantize(net, double_rounding())
    with model.at(32):
        torch.testing.assert_close(model(x), expected)


class EightBitEdges(DoubleRounding):
    first_last_bits = 8


def test_first_and_last_layers_may_have_a_fixed_bit_width():
    method = EightBitEdges(DoubleRounding.Options(), (4, 2))
    model = quantize(float_net(), method)
    assert list(model.layers) == ["3", "6", "9"]
    assert list(model.quantized_layers) == ["0", "3", "6", "9", "11"]
    first, last = model.quantized_layers["0"], model.quantized_layers["11"]
    for policy in (4, 2, dict.fromkeys(model.layers, (4, 2))):
        model.switch(policy)
        assert (first.weight_switch.bits, first.activation_switch.bits) == (8, 32)
        assert (last.weight_switch.bits, last.activation_switch.bits) == (8, 8)
    model.switch(32)
    assert first.weight_switch.is_float
    assert last.activation_switch.is_float


def test_first_and_last_layers_have_scales_of_one_bit_width_and_are_calibrated():
    method = EightBitEdges(DoubleRounding.Options(), (4, 2))
    model = quantize(float_net(), method)
    model.calibrate([torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))])
    scales = model.scale_parameters()
    assert "net.11.activation_quantizer.scale.8" in scales
    assert scales["net.11.activation_quantizer.scale.8"] != 1
    assert not any(name.startswith("net.11.") and name.endswith(".4") for name in scales)


def test_a_method_may_prepare_the_network():
    class Doubled(DoubleRounding):
        def transform_float(self, net):
            with torch.no_grad():
                net[3].weight.mul_(2)
            return net

    weight = float_net()[3].weight
    model = quantize(float_net(), Doubled(DoubleRounding.Options(), (4, 2)))
    torch.testing.assert_close(model.layers["3"].weight, 2 * weight)


GROUPS = {"weight_granularity": "per-group-4", "activation_granularity": "per-token"}


@pytest.mark.filterwarnings("error:calibrate")  # there are no scales of activations to replace
@pytest.mark.parametrize("method", ["double-rounding", "double-rounding-unshared", "lsq"])
def test_linear_layers_have_scales_by_group_and_by_token(method):
    net = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 6), nn.Linear(6, 2))
    bitset = (4,) if method == "lsq" else (8, 4)
    model = quantize(net, method, bitset=bitset, example=(3,), **GROUPS)
    x = torch.randn(5, 7, 3)
    model.calibrate([x])
    model.switch(4)
    model(x).square().sum().backward()
    layer = model.layers["1"]
    assert list(model.active_scales()) == [("1", "weight")]
    scale = model.active_scales()["1", "weight"]
    assert scale.shape == (6, 2)
    assert (scale.grad != 0).all()
    assert (layer.weight.grad != 0).any()
    assert list(layer.activation_quantizer.parameters()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight_granularity": "per-group-3"}, "groups of 3"),
        ({"activation_granularity": "per-token"}, "the input of a convolution has no tokens"),
    ],
)
def test_scales_that_a_layer_cannot_have_name_the_layer(options, said):
    with pytest.raises(SpecError, match="Layer '") as caught:
        quantize(float_net(), "double-rounding", bitset=(8, 4), **options)
    assert said in str(caught.value)


def test_the_options_of_before_name_those_of_now():
    with pytest.raises(SpecError, match="is called 'weight_granularity: per-channel' now"):
        quantize(float_net(), "double-rounding", bitset=(8, 4), per_channel=True)
    with pytest.raises(SpecError, match="is called 'zero_points' now"):
        quantize(float_net(), "eq-net", bitset=(8, 4), offsets="signed")
