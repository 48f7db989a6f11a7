"""Decoders in onnxruntime: whole windows, and one token at a time."""

import pytest
import torch

from bitswitch.deployment.onnx import blocks
from bitswitch.deployment.onnx.export import float_graph_of, graph_of
from bitswitch.deployment.onnx.runtime import Kernels, Session, kernels
from bitswitch.deployment.onnx.step import StepSession, step_graph_of
from bitswitch.errors import EncodingError
from bitswitch.nn.cache import KeyValueCache
from tests.deployment import decoders, exported

KINDS = {
    "inputs per tensor": {"float_inputs": "none", "weight_granularity": "per-channel"},
    "down_proj's input float": {"weight_granularity": "per-channel"},
    "inputs per token": {"float_inputs": "none", "activation_granularity": "per-token"},
    "weights alone": {"float_inputs": "all", "weight_granularity": "per-channel"},
    "weights alone, groups": {"float_inputs": "all", "weight_granularity": "per-group-16"},
}
LAYERS = 14


@pytest.fixture(scope="module")
def made():
    """Return the integers of a decoder of every kind."""
    return {
        kind: decoders.integers(decoders.quantized(run), run)
        for kind, run in ((kind, decoders.run_of(**options)) for kind, options in KINDS.items())
    }


def exact(integers, tokens, bits, **more):
    with integers.at(bits):
        return integers(tokens, **more)


def assert_close(found, expected, allowed=1e-5, share=0.0):
    """All logits but a ``share`` of the positions are ``allowed`` of the largest apart."""
    assert found.shape == expected.shape
    apart = (found - expected).abs().flatten(0, -2).amax(-1) / expected.abs().max()
    assert (apart > allowed).float().mean() <= share


@pytest.fixture
def exactly(monkeypatch):
    """Keep float inputs as they are, which takes long."""
    monkeypatch.setattr(blocks, "ACCURACY_LEVEL", 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_windows_of_tokens(made, kind, bits, exactly):
    integers, tokens = made[kind], decoders.tokens(8)
    graph = graph_of(integers, bits)
    assert kernels(graph) == Kernels(LAYERS, 1)
    assert_close(Session(graph)(tokens), exact(integers, tokens, bits), share=0.02)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_float_inputs_are_rounded_to_8_bits(made, bits):
    integers, tokens = made["weights alone"], decoders.tokens(8)
    found, expected = Session.of(integers, bits)(tokens), exact(integers, tokens, bits)
    assert_close(found, expected, 0.05)
    assert (found - expected).abs().max() > 1e-4


def test_a_graph_says_what_goes_in_and_comes_out(made):
    graph = graph_of(made["weights alone"], 4).graph
    found = {
        port.name: [size.dim_param or size.dim_value for size in port.type.tensor_type.shape.dim]
        for port in (*graph.input, *graph.output)
    }
    assert found == {"tokens": ["n", 16], "logits": ["n", 16, 256]}


def test_weights_of_few_bits_are_stored_in_few_bits(made):
    sizes = [graph_of(made["weights alone"], bits).ByteSize() for bits in (8, 4, 2)]
    weights = sum(
        layer.codes.numel() for layer in made["weights alone"].snapshot(8).layers.values()
    )
    assert sizes[0] - sizes[1] == pytest.approx(weights / 2, rel=0.01)
    assert sizes[1] - sizes[2] == pytest.approx(weights / 4, rel=0.01)


def test_float32(made):
    integers, tokens = made["weights alone"], decoders.tokens()
    graph = float_graph_of(integers)
    assert kernels(graph) == Kernels(0, LAYERS + 1)
    torch.testing.assert_close(Session(graph)(tokens), exact(integers, tokens, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_one_token_at_a_time(made, kind, exactly):
    """Each is read at the bit-width of the moment, with what was kept of those before."""
    integers, tokens = made[kind], decoders.tokens()
    steps = {bits: StepSession(step_graph_of(integers, bits)) for bits in (8, 4)}
    past, cache = steps[8].nothing(len(tokens)), KeyValueCache()
    found, expected = [], []
    for place, token in enumerate(tokens.split(1, 1)):
        bits = (8, 4)[place % 2]
        logits, past = steps[bits](token, past)
        found.append(logits)
        expected.append(exact(integers, token, bits, cache=cache))
    assert_close(torch.cat(found, 1), torch.cat(expected, 1), share=0.02)
    assert past.shape[2] == tokens.shape[1]


def test_one_token_at_a_time_in_float32(made):
    integers, tokens = made["weights alone"], decoders.tokens()
    step = StepSession(step_graph_of(integers, 32))
    past, found = step.nothing(len(tokens)), []
    for token in tokens.split(1, 1):
        logits, past = step(token, past)
        found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), exact(integers, tokens, 8))


def test_a_network_without_a_cache_is_refused(pair):
    with pytest.raises(EncodingError, match=r"'resnet8' cannot read token by token.*no cache"):
        step_graph_of(pair[1], 8)


def test_images_are_still_called_so(pair):
    assert graph_of(pair[1], 4).graph.input[0].name == "images"
    assert exported.images().shape[1:] == pair[1].facts.input.shape
