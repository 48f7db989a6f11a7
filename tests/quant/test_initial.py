import pytest
import torch

from bitswitch.quant.granularity import PerChannel
from bitswitch.quant.initial import (
    least_squares_grid,
    mean_scale,
    measured,
    percentile_range,
    sampled,
    three_sigma_scale,
)


def test_three_sigma_reaches_further_from_zero_on_the_heavier_side():
    weight = torch.tensor([[1.0, 2.0, 3.0]])
    assert three_sigma_scale(weight, 8).item() == pytest.approx((2 + 3 * 1) / 128)
    assert three_sigma_scale(-weight, 8) == three_sigma_scale(weight, 8)


def test_three_sigma_per_channel_broadcasts_to_the_weight():
    weight = torch.randn(5, 3, 2, 2)
    scale = three_sigma_scale(weight, 4, granularity=PerChannel())
    assert scale.shape == (5, 1, 1, 1)
    torch.testing.assert_close(scale[2].squeeze(), three_sigma_scale(weight[2:3], 4))


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_nothing_to_measure_gives_a_scale_of_one(value):
    assert three_sigma_scale(torch.full((2, 3), value), 8) == 1
    assert measured(percentile_range(torch.full((7,), value))) == 1


def test_one_value_has_no_deviation():
    assert three_sigma_scale(torch.tensor([[-0.5]]), 2) == 0.25


def test_constant_values_span_their_magnitude():
    assert percentile_range(torch.full((9,), -3.0)) == 3


def test_a_sample_holds_the_extremes_and_no_value_twice():
    values = torch.arange(12.0)[torch.randperm(12, generator=torch.Generator().manual_seed(0))]
    assert sampled(values, 12) is values
    few = sampled(values, 5)
    assert len(few) == len(few.unique()) == 5
    assert (few.min(), few.max()) == (0, 11)


def test_a_sample_of_equal_values_holds_the_extremes_too():
    values = torch.zeros(9)
    values[1], values[4] = -1, 2
    assert sorted(sampled(values, 3).tolist()) == [-1, 0, 2]


def test_percentile_range_ignores_outliers():
    values = torch.cat([torch.linspace(0, 1, 100_000), torch.tensor([1e6])])
    assert percentile_range(values).item() == pytest.approx(0.998, abs=1e-3)


def test_mean_scale():
    assert mean_scale(torch.tensor(3.0), 4).item() == 3


def grid_error(x, scale, zero_point, high):
    codes = ((x - zero_point) / scale).round().clamp(0, high)
    return (codes * scale + zero_point - x).square().mean().item()


@pytest.mark.parametrize("high", [3, 7, 15])
@pytest.mark.parametrize("shape", ["relu", "normal", "silu", "heavy"])
def test_least_squares_grid_is_about_as_good_as_exhaustive_search(shape, high):
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    x = {"relu": x.relu(), "normal": x + 1, "silu": torch.nn.functional.silu(3 * x), "heavy": x**3}[
        shape
    ]
    scale, zero_point = least_squares_grid(x, high)
    low, top = x.min().item(), x.max().item()
    candidates = [
        grid_error(x, (i - j) / 40 * (top - low) / high, low + j / 40 * (top - low), high)
        for i in range(1, 41)
        for j in range(i)
    ]
    assert grid_error(x, scale, zero_point, high) < 1.05 * min(candidates)


def test_least_squares_grid_finds_a_grid_that_fits_exactly():
    codes = torch.tensor([0, 1, 2, 3, 3, 1])
    scale, zero_point = least_squares_grid(codes * 0.7 - 1.1, 3)
    assert scale.item() == pytest.approx(0.7)
    assert zero_point.item() == pytest.approx(-1.1)


def test_least_squares_grid_of_values_that_are_not_finite_is_the_neutral_one():
    assert [t.item() for t in least_squares_grid(torch.tensor([1.0, float("nan")]), 3)] == [1, 0]


@pytest.mark.parametrize(("width", "images"), [(16, 32), (28, 20), (7, 400), (56, 11)])
def test_a_sample_comes_from_all_columns_of_images_alike(width, images):
    columns = torch.arange(width).float().expand(images, 4, width, width).flatten()
    for most in (len(columns) // 2, len(columns) // 4, len(columns) // 7):
        found = sampled(columns, most)
        assert len(found) == most
        shares = torch.stack([(found == column).float().mean() for column in range(width)])
        assert (shares * width - 1).abs().max() < 0.05
