import pytest
import torch

from bitswitch.methods.ptmq.mixing import Group, dropped, group_distillation, mixed


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("bits", "bitset", "expected"),
    [
        (2, (8, 6, 4, 2), (2, 4, 8)),
        (4, (8, 6, 4, 2), (4, 6, 8)),
        (6, (8, 6, 4, 2), (6, 6, 8)),
        (8, (8, 6, 4, 2), (8, 8, 8)),
        (3, (4, 3, 2), (3, 3, 4)),
        (2, (4, 3, 2), (2, 3, 4)),
        (5, (5,), (5, 5, 5)),
    ],
)
def test_groups_reach_from_the_weights_to_the_widest(bits, bitset, expected):
    assert Group.of(bits, bitset) == expected


def test_the_loss_is_the_sum_of_three_errors():
    full, low, medium, high = (torch.randn(3, 2, generator=draw(seed)) for seed in range(4))
    expected = 0.0
    for f, small, middle, large in zip(
        *(t.flatten().tolist() for t in (full, low, medium, high)), strict=True
    ):
        mean = (small + middle + large) / 3
        expected += (f - mean) ** 2 + (large - middle) ** 2 + (large - small) ** 2
    loss = group_distillation(full, low, medium, high)
    assert loss.item() == pytest.approx(expected / 6, rel=1e-5)
    torch.testing.assert_close(mixed(low, medium, high), (low + medium + high) / 3)


def test_dropped_features_are_of_one_or_the_other():
    rough, full = torch.zeros(40, 40), torch.ones(40, 40)
    share = dropped(rough, full, 0.3, draw()).mean().item()
    assert share == pytest.approx(0.3, abs=0.05)
    assert torch.equal(dropped(rough, full, 1.0, draw()), full)
    assert torch.equal(dropped(rough, full, 0.0, draw()), rough)
