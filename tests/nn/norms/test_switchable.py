import pytest
import torch
from torch import nn

from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.switch import ALIGNED
from tests.nn.small_network import BITSET

NORMS = {
    "plain": lambda: nn.BatchNorm2d(4),
    "not affine": lambda: nn.BatchNorm2d(4, affine=False),
    "untracked": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "one dimension": lambda: nn.BatchNorm1d(4),
}


def inputs(kind):
    shape = (8, 4) if kind == "one dimension" else (8, 4, 3, 3)
    return [torch.randn(shape) * scale + scale for scale in (1, 2, 3)]


@pytest.mark.parametrize("kind", NORMS)
def test_every_bit_width_is_the_batch_norm_it_came_from(kind):
    for bits in BITSET:
        norm = NORMS[kind]()
        switchable = SwitchableBatchNorm(NORMS[kind](), BITSET)
        switchable.switch(bits)
        for x in inputs(kind):
            assert torch.equal(switchable(x), norm(x))
        norm.eval()
        switchable.eval()
        assert torch.equal(switchable(x), norm(x))


def test_bit_widths_have_their_own_statistics_and_parameters():
    norm = SwitchableBatchNorm(nn.BatchNorm2d(4), BITSET)
    norm.switch(4)
    norm(torch.randn(8, 4, 3, 3) + 5).sum().backward()
    assert norm.num_batches_tracked.tolist() == [0, 1, 0]
    assert [row.abs().sum() > 0 for row in norm.running_mean] == [False, True, False]
    used = [name for name, p in norm.named_parameters() if p.grad is not None]
    assert used == ["weight.4", "bias.4"]
    idle = {id(p) for p in norm.inactive_parameters()}
    assert {id(p) for p in norm.parameters() if p.grad is None} == idle


def test_mode_and_values_are_taken_over():
    norm = nn.BatchNorm2d(4).eval()
    nn.init.uniform_(norm.weight)
    norm.running_mean.fill_(3)
    switchable = SwitchableBatchNorm(norm, BITSET)
    assert not switchable.training
    assert torch.equal(switchable.weight.of(2), norm.weight)
    assert (switchable.running_mean == 3).all()


def test_statistics_in_use_survive_loading_by_assignment():
    norm = SwitchableBatchNorm(nn.BatchNorm2d(4), BITSET)
    state = {name: torch.full_like(value, 2) for name, value in norm.state_dict().items()}
    norm.load_state_dict(state, assign=True)
    x = torch.randn(8, 4, 3, 3)
    expected = nn.functional.batch_norm(x, *[torch.full((4,), 2.0) for _ in range(4)])
    torch.testing.assert_close(norm.eval()(x), expected)
    norm.train()(x)
    assert norm.num_batches_tracked.tolist() == [3, 2, 2]


@pytest.mark.parametrize("channels", [5, 8, 58])
def test_what_a_graph_reads_of_statistics_is_aligned_at_every_bit_width(channels):
    """Kernels for GPUs that are compiled for such an address read any other wrongly."""
    norm = SwitchableBatchNorm(nn.BatchNorm2d(channels), BITSET)

    def check():
        assert norm.running_mean.shape == (len(BITSET), channels)
        for bits in BITSET:
            norm.switch(bits)
            mean, variance, _ = norm._statistics
            assert mean.data_ptr() % ALIGNED == variance.data_ptr() % ALIGNED == 0
            assert mean.is_contiguous()

    check()
    norm.running_mean.copy_(torch.arange(len(BITSET) * channels).view(len(BITSET), channels))
    state = norm.state_dict()
    norm.to(torch.float64).to(torch.float32)
    check()
    assert torch.equal(norm.running_mean, state["running_mean"])
    plain = {name: value.clone().contiguous() for name, value in state.items()}
    before = plain["running_mean"].clone()
    norm.load_state_dict(plain, assign=True)
    check()
    norm(torch.randn(4, channels, 2, 2))
    changed = (norm.running_mean != before).any(1)
    assert changed.tolist() == [bits == norm.copy for bits in BITSET]
