"""The benchmark of switching, on a small network."""

import pytest
import torch

from bitswitch.bench import BENCHMARKS, switch
from bitswitch.quant.integer import signed_range


@pytest.fixture(scope="module")
def network():
    return switch.deployed("resnet8")


def test_it_is_a_benchmark():
    assert "switch" in BENCHMARKS


def test_what_is_timed_are_the_same_layers(network):
    layers = list(network.model.snapshot(8).layers.values())
    assert [w.shape for w, _ in network.weights] == [layer.codes.shape for layer in layers]
    for (_, scale), layer in zip(network.weights, layers, strict=True):
        assert torch.equal(scale.flatten(), layer.weight_scale)


@pytest.mark.parametrize("bits", switch.BITSET)
def test_quantizing_anew_gives_codes_of_the_width(network, bits):
    low, high = signed_range(bits)
    switched = network.model.snapshot(bits).layers.values()
    for codes, layer in zip(switch.quantize_anew(network.weights, bits), switched, strict=True):
        assert codes.dtype == torch.int8
        assert low <= codes.min() <= codes.max() <= high
        apart = (codes.int() - layer.codes.int()).abs()  # rounded once here, twice there
        assert apart.max() <= (0 if bits == 8 else 1)


def test_a_file_is_smaller_with_quantized_edges(network):
    assert switch.deployed("resnet8", 8).file_share < network.file_share < 1


def test_every_switch_of_the_tour_is_timed(network, monkeypatch):
    monkeypatch.setattr(switch, "ROUNDS", 3)
    times = switch.time_tour(network)
    assert len(times) == len(switch.TOUR)
    assert network.model.policy == switch.TOUR[-1] == switch.BITSET[0]
    assert all(min(one.switch, one.requantize) > 0 for one in times)


def test_the_table_is_whole(monkeypatch):
    monkeypatch.setattr(switch, "NETWORKS", ("resnet8",))
    monkeypatch.setattr(switch, "LARGEST", "resnet8")
    monkeypatch.setattr(switch, "ROUNDS", 3)
    found = switch.measure()
    assert {len(row) for row in found.rows} == {len(found.columns)}
    assert found.figures["file_over_fp32"] < found.figures["file_over_fp32_float_edges"]
    assert {"switch_over_copy", "requantize_over_switch"} < set(found.figures)
    assert "resnet8" in found.render()
