import numpy as np
import pytest
import torch
from torch import nn

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerConv2d, IntegerLinear
from bitswitch.deployment.snapshot import (
    REQUEST,
    InputGrid,
    Operands,
    Request,
    Snapshot,
    TokenGrid,
)

INPUT_SCALE, WEIGHT_SCALE = 0.3, 0.05


def draw(*shape, low=-128, high=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, generator=generator, dtype=torch.int32)


def grid(zero_point=None):
    return InputGrid(
        torch.tensor(INPUT_SCALE), None if zero_point is None else torch.tensor(zero_point), 0, 255
    )


def run(layer, operands, x, observe=None):
    token = REQUEST.set(Request(Snapshot(8, {layer.name: operands}, {}), observe))
    try:
        return layer(x)
    finally:
        REQUEST.reset(token)


def convolve(x, weight, conv):
    """Return sums of products of integer arrays, position by position."""
    (height, width), (down, right) = conv.padding, conv.stride
    x = np.pad(x, ((0, 0), (0, 0), (height, height), (width, width)))
    rows, columns = (d * (k - 1) + 1 for d, k in zip(conv.dilation, weight.shape[2:], strict=True))
    shape = (x.shape[2] - rows) // down + 1, (x.shape[3] - columns) // right + 1
    result = np.zeros((len(x), len(weight), *shape), dtype=np.int64)
    inputs, outputs = weight.shape[1], len(weight) // conv.groups
    for n, out, row, column in np.ndindex(result.shape):
        first = out // outputs * inputs
        part = x[n, first : first + inputs]
        part = part[:, row * down : row * down + rows : conv.dilation[0]]
        part = part[:, :, column * right : column * right + columns : conv.dilation[1]]
        result[n, out, row, column] = (part * weight[out]).sum()
    return result


CONVOLUTIONS = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "dilated": {"dilation": 2, "padding": (2, 1)},
    "grouped": {"groups": 2, "padding": 1},
    "depthwise": {"groups": 4, "padding": 1},
}


@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_convolutions_add_integers_exactly(settings, per_channel):
    conv = nn.Conv2d(4, 8, 3, **settings)
    codes = draw(*conv.weight.shape)
    x = draw(2, 4, 7, 6, low=0, high=256, seed=1)
    scale = torch.full((1,), WEIGHT_SCALE) if not per_channel else torch.rand(8) + 0.01
    layer = IntegerConv2d(conv, "c", codes.to(torch.int8), conv.bias.detach())
    seen = []
    output = run(
        layer,
        Operands((8, 8), layer.codes, scale, None, grid()),
        (x.double() * INPUT_SCALE).float(),
        lambda *found: seen.append(found),
    )
    (name, inputs, sums), expected = seen[0], convolve(x.numpy(), codes.numpy(), conv)
    assert name == "c"
    assert torch.equal(inputs, x.double())
    assert np.array_equal(sums.numpy(), expected)
    factor = scale.double() * torch.tensor(INPUT_SCALE).double()
    values = (torch.from_numpy(expected).double() * factor[:, None, None]).float()
    assert torch.equal(output, values + conv.bias.detach()[:, None, None])


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5)])
def test_linear_layers_take_any_leading_dimensions(shape):
    linear = nn.Linear(5, 3)
    codes, x = draw(3, 5), draw(2, *shape, low=0, high=256, seed=1)
    layer = IntegerLinear(linear, "l", codes.to(torch.int8), None)
    operands = Operands((8, 8), layer.codes, torch.tensor([0.5, 1.0, 2.0]), None, grid())
    output = run(layer, operands, x * torch.tensor(INPUT_SCALE))
    sums = np.einsum("...i,oi->...o", x.numpy().astype(np.int64), codes.numpy())
    input_scale = torch.tensor(INPUT_SCALE).double().item()
    expected = (sums * np.array([0.5, 1, 2]) * input_scale).astype(np.float32)
    assert np.array_equal(output.numpy(), expected)


@pytest.mark.parametrize("input_zero_point", [None, 0.7])
@pytest.mark.parametrize("weight_zero_point", [None, -0.02])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_zero_points_and_padding(input_zero_point, weight_zero_point, mode):
    conv = nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode=mode, bias=False)
    layer = IntegerConv2d(conv, "c", draw(6, 2, 3, 3).to(torch.int8), None)
    zero_point = None if weight_zero_point is None else torch.tensor([weight_zero_point])
    operands = Operands(
        (8, 8), layer.codes, torch.tensor([WEIGHT_SCALE]), zero_point, grid(input_zero_point)
    )
    x = torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(1)) * 60
    codes = operands.grid.encode(x)
    values = codes.double() * torch.tensor(INPUT_SCALE).double() + (input_zero_point or 0)
    weight = layer.codes.double() * torch.tensor(WEIGHT_SCALE).double() + (weight_zero_point or 0)
    expected = conv._conv_forward(values, weight, None)
    torch.testing.assert_close(run(layer, operands, x).double(), expected, rtol=2e-7, atol=2e-5)
    torch.testing.assert_close(operands.weight().double(), weight, rtol=1e-6, atol=1e-8)


def test_a_float_input_meets_the_values_of_the_codes():
    conv = nn.Conv2d(3, 4, 3)
    layer = IntegerConv2d(conv, "c", draw(4, 3, 3, 3).to(torch.int8), conv.bias.detach())
    operands = Operands((8, 32), layer.codes, torch.tensor([WEIGHT_SCALE]), None, None)
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    weight = layer.codes.float() * torch.tensor(WEIGHT_SCALE)
    expected = nn.functional.conv2d(x, weight, conv.bias.detach())
    assert torch.equal(run(layer, operands, x), expected)


def test_layers_hold_no_float_weights():
    conv = nn.Conv2d(3, 4, 3)
    layer = IntegerConv2d(conv, "c", draw(4, 3, 3, 3).to(torch.int8), conv.bias.detach())
    assert {name: t.dtype for name, t in layer.state_dict().items()} == {
        "codes": torch.int8,
        "bias": torch.float32,
    }


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_a_folded_batch_norm_multiplies_and_adds_by_channel(shape):
    table = torch.arange(6.0).view(2, 3)
    norm = FoldedBatchNorm("n", (8, 4), table, table + 1)
    assert [part.tolist() for part in norm.of(4)] == [[3, 4, 5], [4, 5, 6]]
    token = REQUEST.set(Request(Snapshot(4, {}, {"n": norm.of(4)})))
    output = norm(torch.full(shape, 2.0))
    REQUEST.reset(token)
    assert output.shape == shape
    for channel, expected in enumerate((10, 13, 16)):
        assert (output[:, channel] == expected).all()


@pytest.mark.parametrize("settings", [{"padding": 1}, {"groups": 2, "padding": 1}], ids=str)
@pytest.mark.parametrize("zero_point", [None, -0.02])
def test_groups_of_inputs_are_scaled_before_they_are_added(settings, zero_point):
    conv = nn.Conv2d(8, 6, 3, **settings)
    codes, size = draw(*conv.weight.shape), 2
    groups = codes.shape[1] // size
    layer = IntegerConv2d(conv, "c", codes.to(torch.int8), None)
    scale = torch.rand(6, groups) + 0.01
    zeros = None if zero_point is None else torch.full((6, groups), zero_point)
    operands = Operands((8, 8), layer.codes, scale, zeros, grid(0.7))
    seen = {}
    x = (
        draw(2, 8, 5, 5, low=0, high=256, seed=1).double() * torch.tensor(INPUT_SCALE).double()
        + 0.7
    )
    found = run(layer, operands, x.float(), lambda name, codes, sums: seen.update({name: sums}))
    wide = scale.repeat_interleave(size, 1)[..., None, None]
    zero = 0 if zero_point is None else torch.tensor(zero_point)
    expected = conv._conv_forward(x, codes.double() * wide.double() + zero, None)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-3)
    assert seen["c"].shape == (*found.shape, groups)
    assert torch.equal(operands.weight(), codes.float() * wide + zero)


def test_tokens_are_scaled_one_by_one():
    linear, codes = nn.Linear(8, 3), draw(3, 8)
    layer = IntegerLinear(linear, "l", codes.to(torch.int8), None)
    scale = torch.tensor([[0.5, 0.25], [1.0, 2.0], [0.125, 4.0]])  # exact in float32
    operands = Operands((8, 4), layer.codes, scale, None, TokenGrid.at(4))
    tokens = draw(2, 5, 8, low=-7, high=8, seed=1)
    tokens[..., 0] = 7
    factors = 2.0 ** torch.arange(-5, 5).reshape(2, 5, 1)
    seen = {}
    found = run(layer, operands, tokens * factors, lambda n, q, s: seen.update(codes=q, sums=s))
    assert torch.equal(seen["codes"].int(), tokens)
    parted = torch.einsum("btgi,ogi->btog", tokens.view(2, 5, 2, 4), codes.view(3, 2, 4))
    assert torch.equal(seen["sums"].int(), parted.int())
    assert torch.equal(found, (parted * scale).sum(-1) * factors)
