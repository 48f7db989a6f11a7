import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.methods.gptq.grids import SHARES, GridRule, bounds, fitted_grid
from bitswitch.methods.gptq.nearest import NearestQuantizer
from bitswitch.quant.granularity import PER_TENSOR, PerChannel, PerGroup
from bitswitch.quant.quantizer import Width

KINDS = ["symmetric", "full-range", "asymmetric"]
rows = st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=8)


def scalar_grid(row, bits, kind, share=1.0):
    """Return scale and zero point by Python's numbers."""
    low, high = min(*row, 0.0) * share, max(*row, 0.0) * share
    if kind == "asymmetric":
        scale = (high - low) / (2**bits - 1) or 1.0
        return scale, -(round(-low / scale) - 2 ** (bits - 1)) * scale
    largest = max(-low, high)
    steps = 2 ** (bits - 1) - 1 if kind == "symmetric" else (2**bits - 1) / 2
    return largest / steps or 1.0, 0.0


@given(rows, st.sampled_from([2, 3, 4, 8]), st.sampled_from(KINDS))
def test_grids_end_at_the_extremes(row, bits, kind):
    row = [value if abs(value) > 1e-3 else 0.0 for value in row]
    found = fitted_grid(torch.tensor([row], dtype=torch.float64), Width.of(bits, (bits,)), kind)
    scale, zero_point = scalar_grid(row, bits, kind)
    assert found.scale.item() == pytest.approx(scale)
    assert abs(found.zero_point.item() - zero_point) <= scale * 1.000001  # ties in the zero point


@settings(max_examples=30)
@given(rows, st.sampled_from([2, 3]), st.sampled_from(KINDS))
def test_the_share_has_the_least_error_of_all(row, bits, kind):
    width = Width.of(bits, (bits,))
    values = torch.tensor([row], dtype=torch.float64)

    def error(grid):
        low, high = bounds(width, kind)
        codes = ((values - grid.zero_point) / grid.scale).round().clamp(low, high)
        return float((codes * grid.scale + grid.zero_point - values).square().sum())

    ends = torch.stack([values.amin(1).clamp(max=0), values.amax(1).clamp(min=0)], 1)
    all_grids = [fitted_grid(ends * share, width, kind) for share in SHARES]
    best = min(map(error, all_grids))
    assert error(fitted_grid(values, width, kind, "mse")) == pytest.approx(best, abs=1e-9)
    assert (SHARES[0], SHARES[-1], len(SHARES)) == (1.0, 0.3, 36)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("granularity", [PER_TENSOR, PerChannel(), PerGroup(2)])
def test_zero_is_a_point_of_the_grid_and_codes_fit(kind, granularity):
    weight = torch.randn(4, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[0] += 5  # of one sign alone
    weight[:, 0] = 0
    quantizer = NearestQuantizer(weight, (4, 2), GridRule(granularity, kind))
    for bits in (4, 2):
        width = Width.of(bits, (4, 2))
        codes, (low, high) = quantizer.encode(weight, width), bounds(width, kind)
        assert codes.values.min() >= low
        assert codes.values.max() <= high
        assert (quantizer(weight, width)[:, 0] == 0).all()
        assert codes.scale.shape == granularity.scale_shape(weight.shape)


def test_two_symmetric_bits_are_ternary():
    weight = torch.linspace(-1, 1, 32)[None]
    quantizer = NearestQuantizer(weight, (2,), GridRule(PerChannel(), "symmetric"))
    assert set(quantizer(weight, Width.of(2, (2,))).flatten().tolist()) == {-1.0, 0.0, 1.0}


def test_per_group_of_all_inputs_is_per_channel():
    weight = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    for kind in KINDS:
        pair = [
            NearestQuantizer(weight, (3,), GridRule(granularity, kind, "mse"))(
                weight, Width.of(3, (3,))
            )
            for granularity in (PerChannel(), PerGroup(8))
        ]
        assert torch.equal(*pair)
