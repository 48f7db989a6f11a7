import pytest
import torch

from bitswitch.quant.range_search import search_range

ROWS = torch.randn(3, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PEAK = ROWS.abs().amax(1, keepdim=True)


def reference(row, start, end, low, high, centred, candidates, power):
    """Return scale and zero point of the best candidate for one row, in Python floats."""
    best = (float("inf"), 1.0, 0.0)
    for index in range(candidates):
        a, b = start * (1 - index / 100), end * (1 - index / 100)
        scale = (b - a) / (high - low)
        zero_point = 0.0 if centred else a - scale * low
        error = 0.0
        for x in row:
            code = round(min(max((x - zero_point) / scale, low), high))
            error += abs(code * scale + zero_point - x) ** power
        if error < best[0]:
            best = error, scale, zero_point
    return best[1:]


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 5])
def test_it_finds_the_candidate_with_the_least_error(bits, centred):
    ends = (-PEAK, PEAK) if centred else (ROWS.amin(1, keepdim=True), ROWS.amax(1, keepdim=True))
    low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    found = search_range(ROWS, ends, (low, high), centred, 80, 2.4)
    for index, row in enumerate(ROWS.tolist()):
        start, end = (side[index].item() for side in ends)
        scale, zero_point = reference(row, start, end, low, high, centred, 80, 2.4)
        assert found.scale[index].item() == pytest.approx(scale, rel=1e-12)
        assert found.zero_point[index].item() == pytest.approx(zero_point, rel=1e-9, abs=1e-12)


def test_one_candidate_is_the_full_range():
    found = search_range(ROWS, (-PEAK, PEAK), (0.0, 15.0), False, 1, 2.0)
    torch.testing.assert_close(found.scale, 2 * PEAK / 15)
    torch.testing.assert_close(found.zero_point, -PEAK)


def test_more_candidates_never_have_a_larger_error():
    def error(candidates):
        found = search_range(ROWS, (-PEAK, PEAK), (-2.0, 1.0), True, candidates, 2.0)
        codes = (ROWS / found.scale).clamp(-2, 1).round()
        return (codes * found.scale - ROWS).square().mean(1)

    assert (error(80) <= error(5)).all()
    assert (error(80) < error(5)).any()


def test_the_widest_candidate_is_taken_where_errors_overflow():
    rows = torch.linspace(-1, 1, 40)[None].clone()
    rows[0, 3] = 1e20
    peak = rows.abs().amax(1, keepdim=True)
    found = search_range(rows, (-peak, peak), (-8.0, 7.0), True, 80, 2.4)
    assert float(found.scale) == pytest.approx(2e20 / 15)
    assert float(found.zero_point) == 0


def test_rows_without_a_range_get_a_scale():
    zeros = torch.zeros(1, 5)
    found = search_range(zeros, (zeros[:, :1], zeros[:, :1]), (-2.0, 1.0), True, 80, 2.4)
    assert found.scale.item() == 1
    assert found.zero_point.item() == 0
