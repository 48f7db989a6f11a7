import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.errors import EncodingError
from bitswitch.quant.granularity import PER_TENSOR, PerChannel
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)


@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    bits=st.sampled_from(BITSET),
    init=st.sampled_from(["range", "mean"]),
)
def test_training_value_is_the_deployed_value(x, bits, init):
    x, width = torch.tensor(x), Width.of(bits, BITSET)
    quantize = ActivationQuantizer(BITSET, init)
    quantize.initialize(x)
    codes = quantize.encode(x, width)
    assert torch.equal(codes.decode(), quantize(x, width))
    low, high = quantize.bounds(width)
    assert low <= codes.values.min() <= codes.values.max() <= high


def test_unsigned_until_a_negative_value_is_seen():
    quantize = ActivationQuantizer(BITSET)
    width = Width.of(4, BITSET)
    assert quantize.bounds(width) == (0, 15)
    quantize.initialize(torch.tensor([-1e-3, 5.0]))
    assert quantize.bounds(width) == (-8, 7)
    quantize.initialize(torch.tensor([0.0, 5.0]))
    assert quantize.bounds(width) == (0, 15)


@pytest.mark.parametrize("bits", BITSET)
def test_range_start_spreads_the_codes_over_the_range(bits):
    quantize = ActivationQuantizer(BITSET)
    quantize.initialize(torch.linspace(0, 3, 10_001))
    assert quantize.scale.of(bits).item() == pytest.approx(3 * 0.998 / (2**bits - 1), rel=1e-3)


def test_scales_of_bit_widths_are_independent():
    quantize = ActivationQuantizer(BITSET)
    quantize(torch.rand(5), Width.of(4, BITSET)).sum().backward()
    grads = {name: p.grad is not None for name, p in quantize.scales().items()}
    assert grads == {"scale.8": False, "scale.4": True, "scale.2": False}


def test_state_carries_the_signedness():
    source, target = ActivationQuantizer(BITSET), ActivationQuantizer(BITSET)
    source.initialize(torch.randn(100))
    target.load_state_dict(source.state_dict())
    x, width = torch.randn(50), Width.of(4, BITSET)
    assert torch.equal(source(x, width), target(x, width))


@pytest.mark.parametrize("x", [torch.zeros(5), torch.full((5,), 2.0), torch.tensor([-3.0])])
@pytest.mark.parametrize("init", ["range", "mean"])
def test_degenerate_inputs_get_a_positive_finite_scale(x, init):
    quantize = ActivationQuantizer(BITSET, init)
    quantize.initialize(x)
    for bits in BITSET:
        assert 0 < quantize.scale.of(bits) < 10
        y = quantize(x, Width.of(bits, BITSET))
        assert y.isfinite().all()


def test_nan_and_infinity():
    quantize = ActivationQuantizer(BITSET)
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0])
    width = Width.of(4, BITSET)
    assert quantize(x, width).tolist()[1:] == [15, 0, 1]
    assert quantize(x, width)[0].isnan()
    with pytest.raises(EncodingError):
        quantize.encode(x, width)
    quantize.initialize(x)
    assert all(p == 1 for p in quantize.parameters())


def test_half_precision_is_quantized_in_single():
    x = torch.rand(100).bfloat16()
    quantize, width = ActivationQuantizer(BITSET), Width.of(8, BITSET)
    quantize.initialize(x)
    assert quantize(x, width).dtype == torch.float32
    assert torch.equal(quantize(x, width), quantize.encode(x, width).decode())


@pytest.mark.parametrize("symmetric", [False, True])
def test_symmetric_weights_leave_out_the_lowest_code(symmetric):
    weight = torch.tensor([[-100.0, 100.0, 0.0]])
    quantize = WeightQuantizer(weight / 100, BITSET, symmetric=symmetric)
    codes = quantize.encode(weight, Width.of(4, BITSET)).values
    assert codes.tolist() == [[-7 if symmetric else -8, 7, 0]]


def test_weight_scales_per_channel():
    weight = torch.randn(6, 3, 2, 2)
    quantize = WeightQuantizer(weight, BITSET, granularity=PerChannel())
    width = Width.of(4, BITSET)
    assert quantize.scale.of(4).shape == (6, 1, 1, 1)
    alone = WeightQuantizer(weight[2:3], BITSET)
    torch.testing.assert_close(quantize(weight, width)[2:3], alone(weight[2:3], width))


@pytest.mark.parametrize("granularity", [PER_TENSOR, PerChannel()], ids=str)
@pytest.mark.parametrize("bits", BITSET)
def test_three_sigma_start(bits, granularity):
    weight = torch.randn(6, 3, 2, 2)
    quantize = WeightQuantizer(weight, BITSET, granularity, init="three-sigma")
    rows = weight.reshape(1 if granularity == PER_TENSOR else 6, -1)
    for row, scale in zip(rows, quantize.scale.of(bits).flatten(), strict=True):
        mean, spread = row.mean().item(), 3 * row.std().item()
        expected = max(abs(mean - spread), abs(mean + spread)) / 2 ** (bits - 1)
        assert scale.item() == pytest.approx(expected, rel=1e-5)


def test_a_start_at_one_looks_at_signs_alone():
    quantize = ActivationQuantizer(BITSET, init="one")
    quantize.initialize(torch.tensor([-9.0, 300.0]))
    assert quantize.signed
    assert all(p == 1 for p in quantize.parameters())


@pytest.mark.parametrize(
    ("granularity", "count", "values"),
    [(PER_TENSOR, "scale", 12), (PerChannel(), "scale", 3), (PerChannel(), "tensor", 12)],
)
def test_weight_gradient_scale_counts_what_it_is_told(granularity, count, values):
    weight, width = torch.randn(4, 3), Width.of(4, BITSET)
    grads = []
    for scaled in (True, False):
        quantize = WeightQuantizer(
            weight, BITSET, granularity, gradient_scale=scaled, gradient_count=count
        )
        quantize(weight, width).sum().backward()
        grads.append(quantize.scale.of(4).grad)
    torch.testing.assert_close(grads[0], grads[1] / (values * 7) ** 0.5)


@pytest.mark.parametrize(
    ("count", "values"), [("scale", 24), ("image", 12), ("token", 3), ("tensor", 24)]
)
def test_activation_gradient_scale_counts_what_it_is_told(count, values):
    x, width = torch.rand(2, 4, 3) * 9, Width.of(4, BITSET)
    grads = []
    for scaled in (True, False):
        quantize = ActivationQuantizer(BITSET, gradient_scale=scaled, gradient_count=count)
        quantize(x, width).sum().backward()
        grads.append(quantize.scale.of(4).grad)
    torch.testing.assert_close(grads[0], grads[1] / (values * 15) ** 0.5)
