import pytest
import torch

from bitswitch.nn.switch import ALIGNED, BitSwitch
from bitswitch.quant.quantizer import Width
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)


@pytest.mark.parametrize("bits", BITSET)
def test_numbers_and_data_agree(bits):
    switch = BitSwitch(BITSET)
    switch.switch(bits)
    assert switch.width == Width.of(bits, BITSET)
    assert switch.table[BITSET.index(bits), :, 0].tolist() == list(Width.of(bits, BITSET))


def test_full_precision_has_no_width():
    switch = BitSwitch(BITSET)
    switch.switch(FLOAT_BITS)
    assert switch.width is None


def test_a_graph_reads_tensors():
    switch = BitSwitch(BITSET)
    read = torch.compile(lambda: switch.width.unsigned_high * 1, backend="eager", fullgraph=True)
    values = []
    for bits in BITSET:
        switch.switch(bits)
        values.append(read().item())
    assert values == [255, 15, 3]


def test_a_graph_is_handed_two_tensors_of_a_bit_width():
    switch, handed = BitSwitch(BITSET), []

    def backend(graph, inputs):
        handed.append(inputs)
        return graph

    def read(x):
        width = switch.width
        return x * width.unsigned_high + width.index + width.signed_low

    torch.compile(read, backend=backend, fullgraph=True)(torch.ones(3))
    assert sorted(tuple(one.shape) for one in handed[0]) == [(), (3,), (len(Width._fields),)]


def test_what_a_graph_reads_is_aligned_at_every_bit_width(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    switch = BitSwitch(BITSET)
    for bits in BITSET:
        switch.switch(bits)
        assert all(value.data_ptr() % ALIGNED == 0 for value in switch.width if value is not None)
        assert all(value.dim() == 0 for value in switch.width)
        assert [float(value) for value in switch.width] == list(
            Width.of(bits, BITSET)._replace(index=BITSET.index(bits))
        )


def test_nothing_is_stored():
    assert BitSwitch(BITSET).state_dict() == {}
