import pytest
import torch

from bitswitch.methods.rfquant.coupling import clipped, clipped_energy, coupled_error, instability
from bitswitch.quant.lsq import WeightQuantizer
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 3, 2)


@pytest.fixture
def weight():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, 3, 3, generator=generator).mul_(0.1).requires_grad_()


@pytest.fixture
def quantizer(weight):
    return WeightQuantizer(weight, BITSET, init="three-sigma", gradient_scale=False)


def numbers(weight, quantizer, bits):
    """Return weights, their codes and the step at ``bits`` as Python numbers."""
    step = quantizer.scale.of(bits).item()
    codes = quantizer.encode(weight, Width.of(bits, BITSET)).values.flatten().tolist()
    return weight.flatten().tolist(), codes, step


@pytest.mark.parametrize("bits", BITSET)
def test_clipping_stops_gradients_outside_alone(weight, quantizer, bits):
    quantizer.scale.of(bits).data.div_(2)  # so that many weights are outside
    width = Width.of(bits, BITSET)
    y = clipped(weight, quantizer, width)
    y.sum().backward()
    ws, _, step = numbers(weight, quantizer, bits)
    low, high = -(2 ** (bits - 1)) * step, (2 ** (bits - 1) - 1) * step
    assert y.flatten().tolist() == pytest.approx([min(max(w, low), high) for w in ws], abs=1e-7)
    assert weight.grad.flatten().tolist() == [float(low <= w <= high) for w in ws]
    assert quantizer.scale.of(bits).grad is None


def test_a_weight_on_the_bound_is_inside():
    weight = torch.tensor([[-1.0, 0.5]]).requires_grad_()
    quantizer = WeightQuantizer(weight, BITSET)
    quantizer.scale.of(2).data.fill_(0.5)
    clipped(weight, quantizer, Width.of(2, BITSET)).sum().backward()
    assert weight.grad.tolist() == [[1, 1]]


def test_energy_cancels_weight_decay_inside_the_range(weight, quantizer):
    decay = 0.01
    width = Width.of(2, BITSET)
    loss = -decay * clipped_energy(weight, quantizer, width)
    loss.backward()
    step = weight.grad + decay * weight  # what an optimizer with weight decay descends
    inside = weight.grad != 0
    assert 0 < inside.sum() < inside.numel()
    assert step[inside].abs().max() == 0
    assert torch.equal(step[~inside], decay * weight[~inside])


@pytest.mark.parametrize("lowest", [3, 2])
@pytest.mark.parametrize("bits", [8, 4, 3])
def test_only_codes_of_the_narrowest_grid_attract(weight, quantizer, bits, lowest):
    error = coupled_error(weight, quantizer, Width.of(bits, BITSET), Width.of(lowest, BITSET))
    error.backward()
    ws, codes, step = numbers(weight, quantizer, bits)
    ratio = 2 ** (bits - lowest)
    total, gradients = 0.0, []
    for w, code in zip(ws, codes, strict=True):
        shared = code % ratio == 0 and -(2 ** (lowest - 1)) <= code // ratio < 2 ** (lowest - 1)
        bounded = min(max(w, -(2 ** (bits - 1)) * step), (2 ** (bits - 1) - 1) * step)
        total += shared * (bounded - code * step) ** 2
        gradients.append(shared * (bounded == w) * 2 * (w - code * step) / 27)
    assert error.item() == pytest.approx(total / 27, rel=1e-4)
    assert weight.grad.flatten().tolist() == pytest.approx(gradients, abs=1e-6)
    assert 0 < weight.grad.count_nonzero() <= weight.numel()
    assert all(p.grad is None for p in quantizer.parameters())


def test_the_narrowest_grid_attracts_every_weight(weight, quantizer):
    width = Width.of(2, BITSET)
    error = coupled_error(weight, quantizer, width, width)
    inside = clipped(weight, quantizer, width)
    expected = (inside - quantizer(weight, width)).square().sum() / 27
    torch.testing.assert_close(error, expected)


def test_instability_counts_the_outer_quarters():
    weight = torch.tensor([[-9.0, -2.4, -1.7, -1.6, 0.0, 0.37, 0.38, 0.62, 0.63, 9.0]])
    quantizer = WeightQuantizer(weight, (2,))
    quantizer.scale.of(2).data.fill_(1.0)
    #                                codes -2, -2, -2, -2, 0, 0, 0*, 1*, 1, 1
    found = instability(weight, quantizer, [Width.of(2, (2,))])
    assert found.item() == pytest.approx((1 + 2) / 10 / 2)  # -1.6 too leaves its bin to the right


def test_instability_is_a_mean_over_bit_widths(weight, quantizer):
    widths = [Width.of(bits, BITSET) for bits in BITSET]
    alone = [instability(weight, quantizer, [width]).item() for width in widths]
    together = instability(weight, quantizer, widths)
    assert together.item() == pytest.approx(sum(alone) / 4)
    assert alone[0] == pytest.approx(0.25 / 8, rel=0.3)  # a fine grid: one in four, over b
    assert not together.requires_grad
