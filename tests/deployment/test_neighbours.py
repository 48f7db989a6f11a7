"""Codes of layers side by side: the same as layer by layer."""

import itertools

import pytest
import torch

from bitswitch.deployment.narrowing import narrow
from bitswitch.deployment.neighbours import Neighbours

from . import exported

BITSET = (8, 4, 2)


@pytest.fixture(
    scope="module", params=[None, 8], ids=["float first and last", "8-bit first and last"]
)
def neighbours(request):
    run = exported.run_of(bitset=BITSET, first_last_bits=request.param)
    model = exported.integers(exported.quantized(run), run)
    return Neighbours([part for part in model._stored])


def test_stored_codes_are_views_of_one_tensor(neighbours):
    place = neighbours.codes.data_ptr()
    for layer in neighbours.layers:
        codes = layer.layer.codes
        assert codes.data_ptr() == place
        assert codes.is_contiguous()
        place += codes.numel()
    assert place == neighbours.codes.data_ptr() + neighbours.codes.numel()


def wanted(neighbours, pattern):
    """Return bit-widths that repeat ``pattern``; layers of one bit-width keep theirs."""
    widths = itertools.cycle(pattern)
    return {
        one.facts.name: one.facts.pinned[0] if one.facts.pinned else next(widths)
        for one in neighbours.layers
    }


@pytest.mark.parametrize("pattern", [(8,), (4,), (2,), (8, 4, 2), (4, 4, 8), (2, 2, 2, 4)])
def test_they_are_those_of_single_layers(neighbours, pattern):
    bits = wanted(neighbours, pattern)
    found = neighbours.narrowed(bits)
    assert list(found) == [one.facts.name for one in neighbours.layers]
    for one in neighbours.layers:
        facts, codes = one.facts, found[one.facts.name]
        alone = narrow(one.layer.codes, facts.widths[0], bits[facts.name], facts.rounding)
        assert torch.equal(codes, alone)
        assert codes.shape == one.layer.codes.shape


def test_stored_codes_are_not_copied(neighbours):
    found = neighbours.narrowed(wanted(neighbours, (8,)))
    assert all(found[one.facts.name] is one.layer.codes for one in neighbours.layers)


def test_later_calls_leave_earlier_codes_alone(neighbours):
    first = neighbours.narrowed(wanted(neighbours, (4,)))
    before = {name: codes.clone() for name, codes in first.items()}
    neighbours.narrowed(wanted(neighbours, (2,)))
    assert all(torch.equal(first[name], before[name]) for name in before)
