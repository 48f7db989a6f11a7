import torch

from bitswitch.quant.per_bit import PerBit, inactive

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
    assert inactive(values, 4) == [values.of(8), values.of(2)]


def test_a_tensor_picks_the_same_value():
    values = PerBit(BITSET, torch.zeros(3))
    values.of(2).data.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(values.at(torch.tensor(2)), values.at(2))
    values.at(torch.tensor(2)).sum().backward()
    assert [p.grad.sum().item() for p in values.parameters()] == [0, 0, 3]
