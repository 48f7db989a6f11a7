"""Codes in blocks, as ``MatMulNBits`` reads them: beside what the operator is documented to do."""

import numpy as np
import onnxruntime
import pytest
import torch

from bitswitch.deployment.onnx import blocks
from bitswitch.deployment.onnx.graph import Graph, Port
from bitswitch.deployment.onnx.operators.calls import Form, Value

OUT, IN = 24, 256


def drawn(bits, groups, seed=0):
    """Return codes that use all of their range, scales and inputs."""
    draw = np.random.default_rng(seed)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)
    codes = draw.integers(low, high, (OUT, IN)).astype(np.int8)
    codes[0, :2] = low, high - 1
    shape = {0: (1,), 1: (OUT,)}.get(groups, (OUT, groups))
    scale = draw.uniform(0.5, 1.5, shape).astype(np.float32) / high
    return codes, scale, draw.standard_normal((2, 3, IN)).astype(np.float32)


def run(codes, bits, scale, x, zero_point=None, level=None, monkeypatch=None):
    graph = Graph()
    groups = scale.shape[1] if scale.ndim > 1 else 1
    found = blocks.in_blocks(codes, bits, scale, blocks.size_of(codes.shape[1], groups))
    value = Value("x", Form((None, *x.shape[1:]), torch.float32))
    output = blocks.product(graph, value, found, codes.shape, zero_point)
    ports = Port("x", torch.float32, ("n", *x.shape[1:])), Port("y", torch.float32, ("n", 3, OUT))
    model = graph.finish(ports[:1], {output: ports[1]})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


def weight(codes, scale, zero_point=None):
    groups = scale.shape[1] if scale.ndim > 1 else 1
    wide = np.repeat(scale if scale.ndim > 1 else scale[:, None], IN // groups, axis=1)
    values = codes * wide.astype(np.float64)
    if zero_point is not None:
        zeros = zero_point if zero_point.ndim > 1 else zero_point[:, None]
        values = values + np.repeat(zeros, IN // groups, axis=1)
    return values


def rounded(x, size):
    """Return inputs rounded to 8 bits in every block: by its largest magnitude over 127."""
    parts = x.reshape(*x.shape[:-1], -1, size)
    step = np.abs(parts).max(-1, keepdims=True) / 127
    return (np.rint(parts / step) * step).reshape(x.shape)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("groups", [0, 1, 2, 4, 8, 16])
def test_a_product_rounds_its_inputs_alone(bits, groups):
    codes, scale, x = drawn(bits, groups)
    found = run(codes, bits, scale, x)
    size = blocks.size_of(IN, max(groups, 1))
    exact = x @ weight(codes, scale).T
    expected = rounded(x, size) @ weight(codes, scale).T
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(exact).max())
    assert np.abs(found - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("groups", [0, 2, 8])
def test_codes_are_those_of_the_weight(bits, groups, monkeypatch):
    """At level 0, which is slow, nothing is rounded."""
    monkeypatch.setattr(blocks, "ACCURACY_LEVEL", 0)
    codes, scale, x = drawn(bits, groups)
    exact = x @ weight(codes, scale).T
    np.testing.assert_allclose(run(codes, bits, scale, x), exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("groups", [0, 1, 4])
def test_zero_points_are_sums_of_inputs(groups):
    codes, scale, x = drawn(4, groups)
    zeros = np.random.default_rng(1).normal(size=scale.shape).astype(np.float32)
    found = run(codes, 4, scale, x, zeros)
    plain = run(codes, 4, scale, x)
    expected = x @ (weight(codes, scale, zeros) - weight(codes, scale)).T
    np.testing.assert_allclose(found - plain, expected, atol=1e-4)


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_codes_take_the_bits_of_their_kernel(bits):
    codes, scale, _ = drawn(bits, 1)
    found = blocks.in_blocks(codes, bits, scale, 128)
    kernel = {6: 8}.get(bits, bits)
    assert (found.bits, found.codes.nbytes) == (kernel, OUT * IN * kernel // 8)
    assert found.scale.shape == (OUT * IN // 128,)


def test_blocks_without_a_fast_kernel_are_kept_in_wider_codes():
    codes, scale, _ = drawn(2, 16)
    assert blocks.in_blocks(codes, 2, scale, 16).bits == 4


@pytest.mark.parametrize(
    ("inputs", "groups", "size"),
    [(256, 1, 128), (96, 1, 32), (512, 4, 128), (100, 1, 32), (100, 5, None), (64, 8, None)],
)
def test_the_largest_block_that_fits(inputs, groups, size):
    assert blocks.size_of(inputs, groups) == size


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_inputs_that_no_block_divides(bits):
    codes, scale, x = drawn(bits, 1)
    codes, x = codes[:, :100], np.ascontiguousarray(x[..., :100])
    found = run(codes, bits, scale, x)
    exact = x @ (codes * scale[:, None].astype(np.float64)).T
    assert np.abs(found - exact).max() < 0.02 * np.abs(exact).max()
