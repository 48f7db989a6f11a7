from itertools import product

import pytest
import torch

from bitswitch.methods.gptq import sweep as module
from bitswitch.methods.gptq.grids import GridRule
from bitswitch.methods.gptq.rounders import GridRounder, SliceRounder
from bitswitch.methods.gptq.sweep import Order, prepared, sweep
from bitswitch.quant.granularity import PER_TENSOR, PerChannel, PerGroup
from bitswitch.quant.quantizer import Width

SIZE = 4


def problem(seed, rows=SIZE, columns=SIZE, inputs=32):
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=draw)
    x = torch.randn(inputs, columns, generator=draw) @ mixing
    return torch.randn(1, rows, columns, generator=draw), (2 * x.T @ x / inputs)[None]


def values(rounder, codes):
    grid = rounder.fitted(codes)
    return codes * grid.scale + grid.zero_point


def gptq(weight, hessian, granularity=PerChannel(), bits=3, falling=False, kind="asymmetric"):  # noqa: B008
    rounder = GridRounder(Width.of(bits, (bits,)), GridRule(granularity, kind))
    order = Order(rounder.group(weight[0]), falling)
    codes = sweep(*prepared(weight.clone(), hessian), rounder, order, 0.01)
    return rounder, codes


def loss(weight, found, hessian):
    apart = weight[0] - found
    return float((apart @ hessian[0] * apart).sum())


def test_it_is_better_than_nearest_on_average_and_never_better_than_the_best():
    ratios = []
    for seed in range(100):
        weight, hessian = problem(seed)
        rounder, codes = gptq(weight, hessian, bits=2)
        grid = rounder.fitted(weight[0])
        nearest = ((weight[0] - grid.zero_point) / grid.scale).round().clamp(-2, 1)
        rtn = loss(weight, nearest * grid.scale + grid.zero_point, hessian)
        found = loss(weight, values(rounder, codes[0]), hessian)
        ratios.append(found / rtn)
        if seed < 5:
            best = 0.0
            for row in range(SIZE):
                points = torch.tensor(list(product(range(-2, 2), repeat=SIZE)), dtype=torch.float32)
                apart = weight[0, row] - (points * grid.scale[row] + grid.zero_point[row])
                best += float(((apart @ hessian[0]) * apart).sum(1).min())
            assert found >= best - 1e-4
    assert sum(ratios) / len(ratios) < 0.95


@pytest.mark.parametrize("granularity", [PER_TENSOR, PerChannel(), PerGroup(2)])
@pytest.mark.parametrize("falling", [False, True])
def test_inputs_that_do_not_go_together_leave_nearest(granularity, falling):
    if falling and isinstance(granularity, PerGroup):
        return
    weight, _ = problem(0)
    hessian = torch.diag_embed(
        torch.rand(1, SIZE, generator=torch.Generator().manual_seed(1)) + 0.1
    )
    rounder, codes = gptq(weight, hessian, granularity, falling=falling)
    grid = rounder.fitted(weight[0])
    wide = [
        part.repeat_interleave(SIZE // part.shape[-1], 1) if part.dim() else part for part in grid
    ]
    nearest = ((weight[0] - wide[1]) / wide[0]).round().clamp(-4, 3)
    assert torch.equal(codes[0], nearest)


def test_blocks_of_columns_change_nothing(monkeypatch):
    weight, hessian = problem(2, columns=24)
    whole = gptq(weight, hessian)[1]
    groups = [gptq(weight, hessian, PerGroup(size))[1] for size in (4, 8)]
    monkeypatch.setattr(module, "BLOCK", 5)
    for size, expected in zip((4, 8), groups, strict=True):
        assert torch.equal(gptq(weight, hessian, PerGroup(size))[1], expected)
    one_by_one = gptq(weight, hessian, PerChannel())[1]
    assert torch.equal(one_by_one, whole)


def test_blocks_of_a_convolution_do_not_know_each_other():
    parts = [problem(seed) for seed in (3, 4)]
    together = gptq(*(torch.cat(one) for one in zip(*parts, strict=True)))[1]
    assert torch.equal(together, torch.cat([gptq(*part)[1] for part in parts]))


def test_a_falling_order_is_that_of_permuted_columns():
    weight, hessian = problem(5)
    places = hessian[0].diagonal().argsort(descending=True)
    moved = gptq(weight[..., places], hessian[:, places][..., places])[1]
    assert torch.equal(gptq(weight, hessian, falling=True)[1][..., places], moved)


def test_inputs_that_were_always_zero_have_no_weight():
    weight, hessian = problem(6)
    hessian[:, 1] = hessian[:, :, 1] = 0
    rounder, codes = gptq(weight, hessian)
    assert (values(rounder, codes[0])[:, 1] == 0).all()


def sliced(weight, hessian, slices, bitset=(8, 4, 2)):
    rounder = SliceRounder(Width.of(8, bitset), GridRule(PerChannel(), "full-range"), slices)
    order = Order(rounder.group(weight[0]))
    return rounder, sweep(*prepared(weight.clone(), hessian), rounder, order, 0.01)


def test_matgptq_of_eight_bits_alone_is_gptq():
    weight, hessian = problem(7, columns=16)
    _, codes = sliced(weight, hessian, {8: 1.0}, (8,))
    assert torch.equal(codes, gptq(weight, hessian, bits=8, kind="full-range")[1])


def test_matgptq_takes_the_best_of_all_codes():
    weight, _ = problem(8)
    slices = {8: 0.1, 4: 0.5, 2: 1.0}
    rounder, codes = sliced(weight, torch.eye(SIZE)[None], slices)
    scale = rounder.fitted(weight[0]).scale

    def cost(code, w, step):
        narrow = {b: min((code + 2 ** (7 - b)) // 2 ** (8 - b), 2 ** (b - 1) - 1) for b in (4, 2)}
        narrow[8] = code
        return sum(
            share * (w - narrow[b] * 2 ** (8 - b) * step) ** 2 for b, share in slices.items()
        )

    for row in range(SIZE):
        for column in range(SIZE):
            w, step = float(weight[0, row, column]), float(scale[row])
            best = min(cost(code, w, step) for code in range(-128, 128))
            assert cost(int(codes[0, row, column]), w, step) == pytest.approx(best, abs=1e-6)
