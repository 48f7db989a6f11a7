import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from bitswitch.deployment.onnx.export import float_graph_of, graph_of, write
from bitswitch.errors import BitWidthError, EncodingError
from tests.deployment import exported

VIT = {
    "architecture": "vit_tiny_patch16_224",
    "arguments": {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2},
}
NETWORKS = {
    "preactivation": ("resnet8", {}, 8),
    "original": ("resnet8", {"form": "original"}, 8),
    "mobilenetv2": ("mobilenetv2", {"weights": "none"}, 32),
    "resnet18": ("resnet18", {"weights": "none"}, 32),
    "vision transformer": ("timm", VIT, 8),
}


def made(model="resnet8", options=(), size=8, method="double-rounding", **method_options):
    choice = {"name": model, "options": dict(options)}
    run = exported.run_of(method, choice, **method_options)
    return exported.integers(exported.quantized(run, size), run, size)


def as_written(graph, images):
    """Return what a graph says, node by node: nothing fused, nothing in integer kernels."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def exact(integers, images, policy):
    with integers.at(policy):
        return integers(images)


def assert_same(found, expected):
    """All images but one in eight have the same logits: a value may lie between two codes."""
    apart = (found - expected).abs().amax(1) > 1e-4 * expected.abs().max()
    assert apart.sum() <= len(expected) / 8


@pytest.mark.parametrize(("model", "options", "size"), NETWORKS.values(), ids=NETWORKS)
def test_a_graph_computes_what_the_integer_model_does(model, options, size):
    integers, images = made(model, options, size), exported.images(size, 8)
    for bits in integers.bitset:
        found = as_written(graph_of(integers, bits), images)
        assert_same(found, exact(integers, images, bits))


@pytest.mark.parametrize(
    "arguments",
    [
        {"class_token": False, "global_pool": "avg", "init_values": 0.5, "qk_norm": True},
        {"class_token": False, "global_pool": "map", "fc_norm": True},
        {"reg_tokens": 2, "no_embed_class": True, "pre_norm": True},
    ],
    ids=" ".join,
)
def test_variants_of_vision_transformers(arguments):
    options = VIT | {"arguments": VIT["arguments"] | {"depth": 1} | arguments}
    run = exported.run_of(model={"name": "timm", "options": options}, bitset=(8, 4))
    trained, images = exported.quantized(run), exported.images(count=8)
    integers = exported.integers(trained, run)
    found = as_written(graph_of(integers, 4), images)
    assert_same(found, exact(integers, images, 4))
    with torch.no_grad(), trained.at(4):
        assert_same(found, trained(images))


SCALES = {
    "per channel": {"weight_granularity": "per-channel"},
    "first and last": {"first_last_bits": 8},
    "per group": {"weight_granularity": "per-group-4"},
    "per token": {"activation_granularity": "per-token"},
    "both": {"weight_granularity": "per-group-8", "activation_granularity": "per-token"},
}


@pytest.mark.parametrize("options", SCALES.values(), ids=SCALES)
def test_linear_layers_of_places(options):
    integers, images = made("timm", VIT, **options), exported.images(count=8)
    for bits in integers.bitset:
        graph = graph_of(integers, bits)
        assert_same(as_written(graph, images), exact(integers, images, bits))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("bit-mixer", {}),
        ("adabits", {}),
        ("double-rounding", {"first_last_bits": 8}),
        ("double-rounding", {"weight_granularity": "per-channel"}),
        ("double-rounding", {"weight_granularity": "per-group-4"}),
        ("matquant", {}),
        ("matquant", {"clamp": False}),
    ],
)
def test_every_kind_of_grid(method, options):
    integers, images = made(method=method, **options), exported.images(count=8)
    for bits in integers.bitset:
        found = as_written(graph_of(integers, bits), images)
        assert_same(found, exact(integers, images, bits))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("zero_point", [None, -0.3])
def test_inputs_with_a_sign_and_a_zero_point(signed, zero_point):
    run = exported.run_of(model={"name": "resnet8", "options": {"form": "original"}})
    description, tensors = exported.artifact(exported.quantized(run), run).content
    for layer in description["layers"][::2]:
        layer["signed"] = signed
        name = layer["name"]
        if zero_point is not None:
            scale = tensors[f"{name}.input.scale"]
            tensors[f"{name}.input.offset"] = torch.full_like(scale, zero_point)
    integers, images = exported.assembled(description, tensors, "memory"), exported.images(count=8)
    for bits in integers.bitset:
        found = as_written(graph_of(integers, bits), images)
        assert_same(found, exact(integers, images, bits))


def test_a_policy(pair):
    integers, images = pair[1], exported.images()
    policy = dict(zip(integers.layers, ((8, 4), 4, 2, (2, 8), 4, 8, 4, 8), strict=True))
    found = as_written(graph_of(integers, policy), images)
    assert_same(found, exact(integers, images, policy))
    assert integers.policy == 8


def test_any_number_of_images(pair):
    graph = graph_of(pair[1], 4)
    for count in (1, 5):
        assert as_written(graph, exported.images(count=count)).shape == (count, 10)


def test_codes_have_eight_bits_and_no_weight_is_stored_in_float(pair):
    integers = pair[1]
    stored = {
        tuple(array.shape): array
        for array in map(onnx.numpy_helper.to_array, graph_of(integers, 2).graph.initializer)
        if array.ndim == 4
    }
    stem = integers.net.conv1.weight.shape
    for shape, array in stored.items():
        if shape == stem:
            assert array.dtype == np.float32
            continue
        assert array.dtype == np.int8
        assert set(np.unique(array)) <= {-128, -64, 0, 64}


@pytest.mark.parametrize(("bits", "shifts"), [(8, 0), (4, 3)])
def test_input_codes_are_shifted_where_integer_kernels_can_follow(pair, bits, shifts):
    operators = [node.op_type for node in graph_of(pair[1], bits).graph.node]
    assert operators.count("BitShift") == shifts
    assert operators.count("QuantizeLinear") == len(pair[1].layers)


def test_a_batch_norm_of_zero_keeps_its_shift():
    run = exported.run_of(model={"name": "resnet8", "options": {"form": "original"}})
    description, tensors = exported.artifact(exported.quantized(run), run).content
    name = "stages.0.0.bn1.multiplier"
    tensors[name] = tensors[name].clone()
    tensors[name][:, 0] = 0
    tensors[name][:, 1] = 1e-12
    tensors[name][:, 2] *= -1
    integers, images = exported.assembled(description, tensors, "memory"), exported.images(count=8)
    for bits in integers.bitset:
        found = as_written(graph_of(integers, bits), images)
        assert_same(found, exact(integers, images, bits))


def test_the_float_graph_is_the_float_network(pair):
    graph, images = float_graph_of(pair[1]), exported.images()
    assert not {node.op_type for node in graph.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
    found, expected = as_written(graph, images), exact(pair[1], images, 8)
    assert 1e-4 < (found - expected).abs().max() < 0.1 * expected.abs().max()


def test_it_is_written(pair, tmp_path):
    path = tmp_path / "model.onnx"
    write(pair[1], 4, path)
    found = as_written(onnx.load(path), exported.images())
    assert_same(found, exact(pair[1], exported.images(), 4))


def test_unknown_bit_widths_are_told(pair):
    with pytest.raises(BitWidthError, match="3"):
        graph_of(pair[1], 3)


def test_what_the_logits_do_not_need_is_left_out():
    integers = made()
    integers.net.stages.append(Glance())
    assert not {node.op_type for node in graph_of(integers, 8).graph.node} & {"Shape", "Tanh"}


class Glance(nn.Module):
    def forward(self, x):
        torch.tanh(x).view(x.shape[0], x.shape[1], -1)
        return x


class Sorted(nn.Module):
    def forward(self, x):
        return torch.sort(x)[0]


class Branched(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("strange", "message"),
    [
        (Sorted(), r"'resnet8' .* operation 'sort' is 'torch\.sort', which has no translation"),
        (Branched(), "cannot be traced"),
        (nn.AdaptiveAvgPool2d(3), "a larger output than one pixel"),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular"), "circular"),
        (nn.Linear(1, 1), "'resnet8' cannot be written as ONNX"),
    ],
)
def test_what_has_no_translation_is_told(strange, message):
    integers = made()
    integers.net.stages.append(strange)
    with pytest.raises(EncodingError, match=message):
        graph_of(integers, 8)
