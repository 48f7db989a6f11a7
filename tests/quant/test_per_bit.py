import copy

import pytest
import torch

from bitswitch.quant.per_bit import PerBit, inactive, switch

BITSET = (8, 4, 2)


def test_parameters_are_named_by_bit_width_and_independent():
    values = PerBit(BITSET, torch.ones(2))
    assert list(values.state_dict()) == ["8", "4", "2"]
    values.of(4).data.zero_()
    assert values.at(0).tolist() == [1, 1]
    assert values.at(1).tolist() == [0, 0]


def test_a_number_leaves_the_others_without_gradient():
    values = PerBit(BITSET, torch.ones(()))
    values.at(1).backward()
    assert [p.grad is None for p in values.parameters()] == [True, False, True]
    switch(values, 4)
    assert inactive(values) == [values.of(8), values.of(2)]


def test_a_tensor_stands_for_the_bit_width_in_use():
    values = PerBit(BITSET, torch.zeros(3))
    for index, bits in enumerate(BITSET):
        values.switch(bits)
        assert values.at(torch.tensor(index)) is values.active is values.of(bits)


@pytest.mark.parametrize("change", [lambda m: m.double(), copy.deepcopy], ids=["cast", "copied"])
def test_the_value_in_use_survives(change):
    values = PerBit(BITSET, torch.zeros(3))
    values.switch(4)
    changed = change(values)
    assert changed.active is changed.of(4)
