import copy
from itertools import product

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from bitswitch.conversion import quantize
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.norms.transitional import TransitionalBatchNorm, spread, transition
from bitswitch.nn.recalibration import recalibrate
from bitswitch.types import FLOAT_BITS
from tests.nn.small_network import BITSET, float_net

PAIRS = list(product(BITSET, BITSET))


class Transitional(DoubleRounding):
    def normalization(self, norm):
        return TransitionalBatchNorm(norm, self.bitset)


def quantized():
    return quantize(float_net(), Transitional(Transitional.Options(), BITSET))


@pytest.fixture
def norm():
    return TransitionalBatchNorm(nn.BatchNorm2d(4), BITSET)


def follow(norm, before, bits):
    norm.follow((bits, bits), (before, before))


def images():
    return torch.randn(8, 4, 3, 3) + 5


@pytest.mark.parametrize(("before", "bits"), PAIRS)
def test_every_transition_starts_as_the_float_norm(norm, before, bits):
    follow(norm, before, bits)
    x = images()
    assert torch.equal(norm(x), nn.BatchNorm2d(4)(x))


@pytest.mark.parametrize(("before", "bits"), PAIRS)
def test_only_the_transition_in_use_is_touched(norm, before, bits):
    follow(norm, before, bits)
    norm(images()).square().sum().backward()
    row = norm.copies.index(transition(before, bits))
    expected = [int(position == row) for position in range(len(PAIRS))]
    assert norm.num_batches_tracked.tolist() == expected
    assert norm.running_mean.abs().sum(1).bool().tolist() == [bool(one) for one in expected]
    assert (norm.running_var != 1).any(1).tolist() == [bool(one) for one in expected]
    used = [name for name, p in norm.named_parameters() if p.grad is not None]
    assert used == [f"weight.{transition(before, bits)}", f"bias.{transition(before, bits)}"]
    idle = {id(p) for p in norm.inactive_parameters()}
    assert idle == {id(p) for p in norm.parameters() if p.grad is None}


def test_there_is_a_copy_for_every_pair(norm):
    assert len({transition(*pair) for pair in PAIRS}) == len(PAIRS)
    assert len(norm.running_mean) == len(PAIRS)
    assert len(list(norm.parameters())) == 2 * len(PAIRS)


def test_the_narrower_operand_counts_and_float_is_the_widest(norm):
    norm.follow((8, 4), (2, 8))
    assert norm.copy == transition(2, 4)
    norm.follow((FLOAT_BITS, 2), (FLOAT_BITS, FLOAT_BITS))
    assert norm.copy == transition(8, 2)


def test_a_network_of_one_bit_width_uses_the_copies_named_by_it():
    model = quantized()
    for bits in BITSET:
        model.switch(bits)
        assert [model.net[i].copy for i in (1, 4)] == [bits, bits]


def test_a_norm_is_told_of_the_two_layers_before_it():
    net = nn.Sequential(
        *[m for _ in range(4) for m in (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))],
        nn.Flatten(),
        nn.Linear(3, 2),
    )
    model = quantize(net, Transitional(Transitional.Options(), BITSET))
    model.switch({"2": 4, "4": 2, "6": 8})
    assert [net[i].copy for i in (5, 7)] == [transition(4, 2), transition(2, 8)]


def test_moving_and_loading_keep_the_transition_in_use(norm):
    follow(norm, 8, 2)
    norm.double()
    norm(images().double())
    assert norm.num_batches_tracked.tolist()[norm.copies.index("8to2")] == 1
    state = {name: torch.full_like(value, 2) for name, value in norm.state_dict().items()}
    norm.load_state_dict(state, assign=True)
    x = images().double()
    expected = nn.functional.batch_norm(x, *[torch.full((4,), 2.0).double() for _ in range(4)])
    torch.testing.assert_close(norm.eval()(x), expected)
    norm.train()(x)
    counts = dict(zip(norm.copies, norm.num_batches_tracked.tolist(), strict=True))
    assert counts.pop("8to2") == 3
    assert set(counts.values()) == {2}


def test_a_deep_copy_is_independent(norm):
    follow(norm, 4, 2)
    other = copy.deepcopy(norm)
    other(images())
    assert norm.num_batches_tracked.sum() == 0
    assert other.num_batches_tracked.tolist()[norm.copies.index("4to2")] == 1


def test_one_graph_serves_every_transition():
    torch.compiler.reset()
    counters.clear()
    x = torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    model = quantized()
    model.calibrate([x])
    compiled = copy.deepcopy(model)
    compiled.compile(backend="aot_eager")
    for first, second in PAIRS:
        for one in (model, compiled):
            one.zero_grad()
            one.switch({"3": first, "6": second, "9": 4})
            one(x).square().mean().backward()
        for (name, p), q in zip(model.named_parameters(), compiled.parameters(), strict=True):
            assert (q.grad is None) == (p.grad is None), name
            if p.grad is not None:
                torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-3, msg=name)
    for (name, a), b in zip(model.named_buffers(), compiled.buffers(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5, msg=name)
    assert counters["stats"]["unique_graphs"] == 1


def test_recalibration_measures_the_copies_in_use_alone():
    model = quantized()
    with torch.no_grad():
        for norm in (model.net[1], model.net[4]):
            norm.running_mean.fill_(9)
    x = torch.randn(6, 3, 12, 12)
    recalibrate(model, lambda: [x])
    for norm in (model.net[1], model.net[4]):
        measured = [(row != 9).all().item() for row in norm.running_mean]
        assert measured == [key in BITSET for key in norm.copies]


def test_state_dicts_that_number_transitions_are_read(norm):
    for name, value in norm.named_parameters():
        value.data.fill_(len(name))
        value.data[0] = sum(map(ord, name))
    new = norm.state_dict()
    old = {}
    for name, value in new.items():
        last, _, copy_name = name.partition(".")
        before, to, bits = copy_name.partition("to")
        old[f"{last}.{100 * int(before) + int(bits)}" if to else name] = value
    assert {name for name in old if name not in new} > {"weight.802", "bias.204"}
    fresh = TransitionalBatchNorm(nn.BatchNorm2d(4), BITSET)
    fresh.load_state_dict(old)
    assert all(torch.equal(value, new[name]) for name, value in fresh.state_dict().items())
    filled = spread({f"norm.{name}": value for name, value in old.items()}, ["norm"], BITSET)
    assert {name.removeprefix("norm.") for name in filled} == set(new)
    assert all(torch.equal(filled[f"norm.{name}"], value) for name, value in new.items())


def test_copies_per_bit_width_are_spread_over_transitions():
    state = {
        **{f"norm.weight.{bits}": torch.full((2,), float(bits)) for bits in BITSET},
        "norm.running_mean": torch.tensor([[float(bits)] * 2 for bits in BITSET]),
        "other.scale.8": torch.ones(()),
    }
    filled = spread(state, ["norm"], BITSET)
    for position, (before, bits) in enumerate(
        [(b, b) for b in BITSET] + [(a, b) for a, b in PAIRS if a != b]
    ):
        assert filled[f"norm.weight.{transition(before, bits)}"].tolist() == [bits, bits]
        assert filled["norm.running_mean"][position].tolist() == [bits, bits]
    assert len(filled) == len(PAIRS) + 2
    again = spread(filled, ["norm"], BITSET)
    assert all(torch.equal(again[name], value) for name, value in filled.items())
