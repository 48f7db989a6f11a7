import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from bitswitch.errors import SpecError
from bitswitch.nn.switch import BitSwitch
from bitswitch.quant.double_rounding import DoubleRoundingQuantizer
from bitswitch.quant.granularity import (
    ActivationGranularity,
    PerChannel,
    PerGroup,
    PerTensor,
    PerToken,
    WeightGranularity,
    grouped,
    parse_granularity,
    ungrouped,
)
from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.quant.max_abs import MaxAbsQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.types import Strict

BITSET = (8, 4, 2)
WEIGHTS = {"linear": (6, 8), "convolution": (6, 8, 3, 3)}


def double_rounding(weight, granularity):
    return DoubleRoundingQuantizer(weight, BITSET, granularity)


def lsq(weight, granularity):
    return WeightQuantizer(weight, BITSET, granularity)


def three_sigma(weight, granularity):
    return WeightQuantizer(weight, BITSET, granularity, init="three-sigma")


def round_to_nearest(weight, granularity):
    return MaxAbsQuantizer(granularity)


QUANTIZERS = [double_rounding, lsq, three_sigma, round_to_nearest]


def upstream_of(weight):
    return torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))


def trained(make, weight, granularity, upstream=None, bits=4):
    """Return values, gradient to the weight and flat gradients to the scales."""
    weight = weight.clone().requires_grad_()
    quantize = make(weight, granularity)
    output = quantize(weight, Width.of(bits, BITSET))
    upstream = upstream_of(weight) if upstream is None else upstream
    (output * upstream).sum().backward()
    scales = [p.grad.flatten() for p in quantize.parameters() if p.grad is not None]
    return output.detach(), weight.grad, *scales


def same(found, expected):
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("make", QUANTIZERS)
@pytest.mark.parametrize("shape", WEIGHTS.values(), ids=WEIGHTS)
def test_one_group_of_all_inputs_is_a_channel(make, shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    same(trained(make, weight, PerGroup(8)), trained(make, weight, PerChannel()))


@pytest.mark.parametrize("make", QUANTIZERS)
@pytest.mark.parametrize("shape", [(1, 8), (1, 8, 3, 3)])
def test_one_channel_is_the_tensor(make, shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    same(trained(make, weight, PerChannel()), trained(make, weight, PerTensor()))


@pytest.mark.parametrize("make", QUANTIZERS)
@pytest.mark.parametrize("shape", WEIGHTS.values(), ids=WEIGHTS)
def test_a_group_is_quantized_as_if_it_were_alone(make, shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight[:, 2:4] *= 9  # the second group of two
    output, to_weight, *to_scales = trained(make, weight, PerGroup(2))
    for group in range(4):
        part = slice(2 * group, 2 * group + 2)
        alone = trained(make, weight[:, part], PerChannel(), upstream_of(weight)[:, part])
        assert torch.equal(output[:, part], alone[0])
        assert torch.equal(to_weight[:, part], alone[1])
        for of_all, of_group in zip(to_scales, alone[2:], strict=True):
            torch.testing.assert_close(of_all.reshape(6, 4)[:, group], of_group)


@pytest.mark.parametrize("make", QUANTIZERS)
@pytest.mark.parametrize("bits", BITSET)
@pytest.mark.parametrize("granularity", [PerTensor(), PerChannel(), PerGroup(4)], ids=str)
def test_the_deployed_value_is_that_of_training(make, bits, granularity):
    weight, width = torch.randn(6, 8, 3, 3), Width.of(bits, BITSET)
    quantize = make(weight, granularity)
    codes = quantize.encode(weight, width)
    assert codes.values.shape == weight.shape
    assert codes.scale.shape == granularity.scale_shape(weight.shape)
    assert torch.equal(codes.decode(), quantize(weight, width))
    assert quantize.granularity == granularity


@given(
    rows=st.lists(st.lists(st.floats(-9, 9, width=16), min_size=5, max_size=5), max_size=4),
    power=st.integers(-8, 8),
    sign=st.sampled_from([1.0, -1.0]),
    bits=st.sampled_from(BITSET),
)
@settings(max_examples=50)
def test_a_dynamic_scale_follows_its_token(rows, power, sign, bits):
    x, factor, width = torch.tensor(rows).reshape(-1, 5), sign * 2.0**power, Width.of(bits, BITSET)
    x = x[(x != 0).any(1)]  # a token of zeros has scale 1 whatever it is multiplied by
    quantize = MaxAbsQuantizer(PerToken())
    assert torch.equal(quantize(x * factor, width), quantize(x, width) * factor)


def test_every_token_has_a_scale_of_its_own():
    x, width = torch.randn(2, 3, 8), Width.of(4, BITSET)
    quantize = MaxAbsQuantizer(PerToken())
    codes = quantize.encode(x, width)
    assert codes.scale.shape == (2, 3, 1)
    assert torch.equal(codes.scale, x.abs().amax(2, keepdim=True) / 7)
    assert (codes.values.abs().amax(2) == 7).all()
    assert torch.equal(codes.decode(), quantize(x, width))
    assert torch.equal(quantize(x[1], width), quantize(x, width)[1])


def test_nothing_of_a_token_is_clipped_so_that_all_of_it_gets_its_gradient():
    x = torch.randn(64, 33).requires_grad_()
    for bits in BITSET:
        (to_x,) = torch.autograd.grad(
            MaxAbsQuantizer(PerToken())(x, Width.of(bits, BITSET)).sum(), x
        )
        assert (to_x == 1).all()


class Layer(nn.Module):
    """Weights with a scale per group, inputs with one per token."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8))
        self.width = BitSwitch(BITSET)
        self.weights = DoubleRoundingQuantizer(
            self.weight, BITSET, PerGroup(4), gradient_scale=False
        )
        self.inputs = MaxAbsQuantizer(PerToken())

    def forward(self, x):
        width = self.width.width
        return nn.functional.linear(self.inputs(x, width), self.weights(self.weight, width))


def test_one_compiled_graph_serves_every_bit_width():
    torch.compiler.reset()
    layer = Layer()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=False)
    x, learned = torch.randn(2, 3, 8), [layer.weight, layer.weights.scale]
    for position, bits in enumerate(BITSET):
        layer.width.switch(bits)
        with torch.compiler.set_stance("fail_on_recompile" if position else "default"):
            result = compiled(x)
        grads = torch.autograd.grad(result.square().sum(), learned)
        eager = layer(x)
        expected = torch.autograd.grad(eager.square().sum(), learned)
        assert torch.equal(result, eager)
        assert all(map(torch.equal, grads, expected))


def test_groups_are_views_and_come_back():
    x, scale = torch.randn(6, 8, 3, 3), torch.ones(6, 4, 1, 1)
    parted, shared = grouped(x, scale)
    assert (parted.shape, shared.shape) == ((6, 4, 2, 3, 3), (6, 4, 1, 1, 1))
    assert parted.data_ptr() == x.data_ptr()
    assert torch.equal(ungrouped(parted, x), x)
    for whole in (torch.ones(()), torch.ones(6, 1, 1, 1), torch.ones(6, 8, 1, 1)):
        assert all(a is b for a, b in zip(grouped(x, whole), (x, whole), strict=True))
    assert ungrouped(x, x) is x


def test_networks_with_groups_take_any_memory_format():
    quantize = double_rounding(torch.randn(6, 8, 3, 3), PerGroup(2))
    assert quantize.to(memory_format=torch.channels_last).scale.shape == (6, 4, 1, 1)


@pytest.mark.parametrize("size", [3, 16, 0, -2])
def test_groups_that_do_not_divide_name_sizes_that_do(size):
    with pytest.raises(SpecError) as caught:
        PerGroup(size).scale_shape((6, 8, 3, 3))
    assert "[6, 8, 3, 3]" in str(caught.value)
    assert "1, 2, 4, 8" in str(caught.value)


def test_a_statistic_is_taken_of_what_shares_a_scale():
    x = torch.arange(24.0).reshape(2, 4, 3)
    assert PerTensor().reduce(x, torch.amax) == 23
    assert PerChannel().reduce(x, torch.amax).flatten().tolist() == [11, 23]
    assert PerChannel(axis=1).reduce(x, torch.amax).flatten().tolist() == [14, 17, 20, 23]
    assert PerGroup(2).reduce(x, torch.amax).flatten().tolist() == [5, 11, 17, 23]
    assert PerToken().reduce(x, torch.mean).shape == (2, 4, 1)


def test_an_axis_that_is_not_there_is_an_error():
    with pytest.raises(SpecError, match="no axis 2"):
        PerChannel(axis=2).scale_shape((4, 4))


class Options(Strict):
    weights: WeightGranularity = PerTensor()
    activations: ActivationGranularity = PerTensor()


@pytest.mark.parametrize(
    "chosen", [PerTensor(), PerChannel(), PerChannel(axis=1), PerGroup(32), PerToken()], ids=str
)
def test_every_granularity_has_a_word(chosen):
    assert parse_granularity(str(chosen)) == chosen


def test_options_are_written_as_words():
    options = Options(weights={"name": "per-group", "size": 32}, activations="per-token")
    assert (options.weights, options.activations) == (PerGroup(32), PerToken())
    written = {"weights": "per-group-32", "activations": "per-token"}
    assert options.model_dump(mode="json") == written
    assert Options(**written) == options
    assert Options().model_dump(mode="json") == dict.fromkeys(written, "per-tensor")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weights": "per-chanel"}, "Did you mean 'per-channel'?"),
        ({"weights": "per-group"}, "per-group-SIZE"),
        ({"weights": "per-group-0"}, "SIZE is a whole number"),
        ({"weights": {"name": "per-group", "size": "many"}}, "SIZE is a whole number"),
        ({"weights": {"name": "per-channel", "size": 4}}, "Write per-channel."),
        ({"weights": {"name": "per-group", "width": 4}}, "per-group-SIZE"),
        ({"weights": True}, "Choices: per-tensor, per-channel, per-group-SIZE, per-token"),
        ({"weights": "per-token"}, "not for weights"),
        ({"weights": "per-channel-axis-1"}, "once for every output"),
        ({"activations": "per-channel"}, "Choices: per-tensor, per-token"),
        ({"activations": "per-group-8"}, "an integer kernel sums over their channels"),
    ],
)
def test_other_words_are_errors_that_name_the_choices(settings, said):
    with pytest.raises(ValidationError) as caught:
        Options(**settings)
    assert said in str(caught.value)
