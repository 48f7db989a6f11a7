import numpy as np
import pytest
import torch

from bitswitch.deployment.loading import assembled
from bitswitch.deployment.onnx.export import float_graph_of, graph_of
from bitswitch.deployment.onnx.graph import Graph, Port
from bitswitch.deployment.onnx.runtime import Kernels, Session, kernels
from tests.deployment import decoders, exported
from tests.deployment.onnx.test_export import VIT, assert_same, exact, made


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_predictions_are_those_of_the_integer_model(pair, bits):
    images = exported.images(count=32)
    found, expected = Session.of(pair[1], bits)(images), exact(pair[1], images, bits)
    assert (found.argmax(1) != expected.argmax(1)).sum() <= 2


def test_a_session_keeps_its_policy(pair):
    integers, images = pair[1], exported.images()
    session = Session.of(integers, 2)
    before = session(images)
    with integers.at(4):
        assert torch.equal(session(images), before)


def test_what_runs_in_integers(pair):
    layers = 1 + len(pair[1].layers) + 1
    for bits in (8, 4, 2):
        found = kernels(graph_of(pair[1], bits))
        assert found.integer == 3  # the first convolution of each block; sums follow the others
        assert found.integer + found.floating == layers
    assert kernels(float_graph_of(pair[1])) == Kernels(0, layers)


def test_inverted_residuals_run_in_integers_at_every_bit_width():
    integers = made("mobilenetv2", {"weights": "none"}, 32)
    for bits in (8, 4, 2):
        found = kernels(graph_of(integers, bits))
        assert found.integer > found.floating


def test_linear_layers_run_in_integers():
    found = kernels(graph_of(made(first_last_bits=8), 4))
    assert found.integer >= 4


@pytest.mark.parametrize("bits", [8, 2])
def test_linear_layers_of_places_run_in_integers(bits):
    """All of both blocks; patches and classes stay float, products of activations are no layers."""
    integers, images = made("timm", VIT), exported.images(count=32)
    graph = graph_of(integers, bits)
    assert kernels(graph) == Kernels(8, 2)
    found, expected = Session(graph)(images), exact(integers, images, bits)
    assert_same(found, expected)


@pytest.mark.parametrize("product", ["Conv", "MatMul"])
def test_products_of_large_codes_do_not_overflow(product):
    """Of two such products each, 16 bits hold no sum: 2 * 255 * 127 > 2 ** 15."""
    graph, count = Graph(), 64
    one, zero = graph.constant(1.0), graph.constant(0, np.uint8)
    codes = graph.add("QuantizeLinear", "images", one, zero)
    x = graph.add("DequantizeLinear", codes, one, zero)
    columns = product == "MatMul"
    shape = (count, 8) if columns else (8, count, 1, 1)
    weight = graph.constant(np.full(shape, 127), np.int8)
    weight = graph.add("DequantizeLinear", weight, graph.constant(1.0), graph.constant(0, np.int8))
    if columns:
        x = graph.add("Reshape", x, graph.constant([0, 1, count], np.int64))
    y = graph.add(product, x, weight, **({} if columns else {"kernel_shape": (1, 1)}))
    if not columns:  # else it is QLinearMatMul, which no network has: biases come between
        scale, zero = graph.constant(255 * 127 * count / 200), graph.constant(0, np.uint8)
        y = graph.add("QuantizeLinear", y, scale, zero)
        y = graph.add("DequantizeLinear", y, scale, zero)
    images = Port("images", torch.float32, ("n", count, 1, 1))
    logits = Port("logits", torch.float32, ("n", 8))
    model = graph.finish([images], {graph.add("Flatten", y, axis=1): logits})
    assert kernels(model).integer == 1
    found = Session(model)(torch.full((1, count, 1, 1), 255.0))
    assert torch.equal(found, torch.full((1, 8), 255.0 * 127 * count))


def test_nothing_is_rounded_that_no_graph_rounds():
    """Inputs with a zero point are no codes of an integer kernel: they stay float32."""
    run = decoders.run_of(float_inputs="none", weight_granularity="per-channel")
    description, tensors = decoders.artifact(decoders.quantized(run), run).content
    for layer in description["layers"]:
        scale = tensors[f"{layer['name']}.input.scale"]
        tensors[f"{layer['name']}.input.offset"] = torch.full_like(scale, -0.01)
    integers, tokens = assembled(description, tensors, "memory"), decoders.tokens()
    assert_same(Session.of(integers, 8)(tokens)[:, 0], exact(integers, tokens, 8)[:, 0])
