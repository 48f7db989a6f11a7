import pytest
import torch

from bitswitch.methods.ptmq.squared_error import (
    SquaredErrorActivationQuantizer,
    squared_error_scale,
)
from bitswitch.quant.quantizer import Width

BITSET = (8, 4, 2)
ROWS = torch.randn(3, 400, generator=torch.Generator().manual_seed(0)) * torch.tensor(
    [[0.1], [1.0], [30.0]]
)


def reference(values, low, high):
    """The best of a hundred scales, by plain loops."""
    largest = max(abs(v) for v in values) / max(-low, high)

    def error(scale):
        codes = [min(max(round(v / scale), low), high) for v in values]
        return sum((v - q * scale) ** 2 for v, q in zip(values, codes, strict=True))

    return min((largest * i / 100 for i in range(100, 0, -1)), key=error)


@pytest.mark.parametrize(("low", "high"), [(-2, 1), (-8, 7), (0, 15)])
def test_the_step_is_the_best_of_its_candidates(low, high):
    scales = squared_error_scale(ROWS, float(low), float(high))
    expected = [reference(row, low, high) for row in ROWS.double().tolist()]
    torch.testing.assert_close(scales, torch.tensor(expected), rtol=1e-4, atol=0)


def test_rows_of_zeros_get_a_step_of_one():
    assert squared_error_scale(torch.zeros(2, 5), -2.0, 1.0).tolist() == [1, 1]


def test_values_on_a_grid_are_met_exactly():
    scale = squared_error_scale(torch.tensor([[0.0, 0.5, 1.0, 1.5]]), 0.0, 3.0)
    assert scale.tolist() == [0.5]


@pytest.mark.parametrize("signed", [True, False])
def test_activations_start_at_the_best_step_of_every_bit_width(signed):
    quantizer = SquaredErrorActivationQuantizer(BITSET)
    values = ROWS[1] if signed else ROWS[1].relu()
    quantizer.initialize(values)
    assert quantizer.signed == signed
    for bits in BITSET:
        width = Width.of(bits, BITSET)

        def error(factor, width=width, bits=bits):
            scale = quantizer.scale.of(bits).detach()
            twin = SquaredErrorActivationQuantizer(BITSET)
            twin.signed = signed
            twin.scale.of(bits).data.copy_(scale * factor)
            return (twin(values, width) - values).square().mean().item()

        assert error(1.0) <= min(error(0.9), error(1.1))


def test_extremes_count_however_many_values_there_are():
    quantizer = SquaredErrorActivationQuantizer((2,))
    values = torch.zeros(2**16)
    values[1] = 6.0
    quantizer.initialize(values)
    assert quantizer.scale.of(2).item() == pytest.approx(2.0)
