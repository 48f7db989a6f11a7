"""EQ-Net's quantizers, searches, regularizers and loss compute what its public code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import softmax

from bitswitch.methods.eq_net.elastic import Variant
from bitswitch.methods.eq_net.elastic_quantizers import (
    GRANULARITIES,
    ElasticActivationQuantizer,
    ElasticWeightQuantizer,
)
from bitswitch.nn.losses import distilled
from bitswitch.quant.granularity import PER_TENSOR
from bitswitch.quant.quantizer import Width
from bitswitch.quant.regularizers import kurtosis_penalty, skewness_penalty, standardized_moment
from bitswitch.quant.shifted_grid import on_shifted_grid

FORWARD = 6e-8  # absolute
GRADIENT = 2e-5  # of the largest gradient of one quantizer, bit-width and upstream gradient
TABLE = (8, 7, 6, 5, 4, 3, 2)
BITS = (8, 6, 5, 4, 3, 2)

with np.load(Path(__file__).parent / "eqnet.npz") as arrays:
    EQNET = {key: torch.from_numpy(arrays[key]) for key in arrays}

WEIGHTS = ElasticWeightQuantizer(EQNET["w"], TABLE, zero_points="magnitude", channel_candidates=5)
ACTIVATIONS = {}
for name in ("a", "x"):
    ACTIVATIONS[name] = ElasticActivationQuantizer(TABLE, zero_points="magnitude")
    ACTIVATIONS[name].initialize(EQNET[name])


def column(bits):
    return bits - 2


def load(quantizer, kind, variant, published):
    """Put a published table [rows, 7] in place of the searched one."""
    for bits in TABLE:
        value = quantizer.table(kind, variant).of(bits)
        value.data = published[:, column(bits)].reshape(value.shape).clone()


def published_tables(prefix, suffix):
    return EQNET[f"{prefix}_scale_set_{suffix}"], EQNET[f"{prefix}_beta_set_{suffix}"]


def same_gradients(grads, expected):
    limit = GRADIENT * max(e.abs().max() for e in expected)
    for grad, e in zip(grads, expected, strict=True):
        assert (grad.reshape(e.shape) - e).abs().max() <= limit


def same_initial_tables(quantizer, variant, scales, zero_points):
    for bits in TABLE:
        step = quantizer.table("scale", variant).of(bits).flatten()
        torch.testing.assert_close(step.data, scales[:, column(bits)], rtol=2e-6, atol=0)
        if not variant.symmetric:
            zero_point = quantizer.table("zero_point", variant).of(bits).flatten()
            torch.testing.assert_close(
                zero_point.data, zero_points[:, column(bits)], rtol=2e-5, atol=2e-8
            )
        else:
            assert not zero_points.any()


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("granularity", GRANULARITIES, ids=str)
def test_initial_ranges_of_weights(symmetric, granularity):
    suffix = (
        f"{'sym' if symmetric else 'asym'}_{'layer' if granularity == PER_TENSOR else 'channel'}"
    )
    tables = published_tables("winit", suffix)
    same_initial_tables(WEIGHTS, Variant(symmetric, granularity), *tables)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", ["a", "x"])
def test_initial_ranges_of_activations(name, symmetric):
    tables = published_tables(f"ainit_{name}", "sym" if symmetric else "asym")
    same_initial_tables(ACTIVATIONS[name], Variant(symmetric), *tables)


def run(quantizer, x, variant, bits, upstream):
    """Return forward and gradients to x, step and zero_point, all at the tables in place."""
    quantizer.choose(variant)
    x = x.clone().requires_grad_()
    width = Width.of(bits, TABLE)
    tables = [quantizer.table("scale", variant).of(bits)]
    if not variant.symmetric:
        tables.append(quantizer.table("zero_point", variant).of(bits))
    y = quantizer(x, width)
    grads = torch.autograd.grad(y, [x, *tables], upstream)
    if variant.symmetric:  # the public code gives a zero point of 0 a gradient, as a leaf
        step, zero = (t.detach() for t in quantizer.grid(width))
        zero.requires_grad_()
        again = on_shifted_grid(x, step, zero, *quantizer.bounds(width))
        grads = (*grads, *torch.autograd.grad(again, [zero], upstream))
    return y.detach(), grads, quantizer.grid(width)


def matches(quantizer, x, upstream, variant, bits, prefix, operand, tables):
    for kind, table in zip(("scale", "zero_point"), tables, strict=True):
        if kind == "scale" or not variant.symmetric:
            load(quantizer, kind, variant, table)
    for which, values in (("R", upstream), ("1", torch.ones_like(upstream))):
        y, grads, (step, zero_point) = run(quantizer, x, variant, bits, values)
        expected = EQNET[f"{prefix}_y"]
        assert (y - expected).abs().max() <= FORWARD
        nearest = [((v - zero_point) / step).round() for v in (y, expected)]
        assert torch.equal(*nearest)
        to_scale, to_zero_point = (EQNET[f"{prefix}_d{k}_{which}"] for k in ("scale", "beta"))
        others = [c for c in range(7) if c != column(bits)]
        assert not to_scale[:, others].any()
        assert not to_zero_point[:, others].any()
        same_gradients(
            grads,
            (
                EQNET[f"{prefix}_d{operand}_{which}"],
                to_scale[:, column(bits)],
                to_zero_point[:, column(bits)],
            ),
        )


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("granularity", GRANULARITIES, ids=str)
def test_weights(granularity, symmetric, bits):
    suffix = (
        f"{'sym' if symmetric else 'asym'}_{'layer' if granularity == PER_TENSOR else 'channel'}"
    )
    prefix = (
        f"w_b{bits}_{'pt' if granularity == PER_TENSOR else 'pc'}_{'sym' if symmetric else 'asym'}"
    )
    quantizer = ElasticWeightQuantizer(EQNET["w"][:, :, :1, :1], TABLE, zero_points="magnitude")
    tables = published_tables("winit", suffix)
    w, gw = EQNET["w"], EQNET["gw"]
    matches(quantizer, w, gw, Variant(symmetric, granularity), bits, prefix, "w", tables)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", ["a", "x"])
def test_activations(name, symmetric, bits):
    suffix = "sym" if symmetric else "asym"
    quantizer = ElasticActivationQuantizer(TABLE, zero_points="magnitude")
    quantizer.signed = name == "x"
    tables = published_tables(f"ainit_{name}", suffix)
    prefix = f"a_{name}_b{bits}_{suffix}"
    matches(quantizer, EQNET[name], EQNET["gx"], Variant(symmetric), bits, prefix, "x", tables)


@pytest.mark.parametrize(
    ("name", "order", "penalty"), [("kurt", 4, kurtosis_penalty), ("skew", 3, skewness_penalty)]
)
def test_regularizers(name, order, penalty):
    w = EQNET["w"].clone().requires_grad_()
    loss = penalty([w])
    value = standardized_moment(w, order).detach()
    torch.testing.assert_close(value, EQNET[f"{name}_value"], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(loss.detach(), EQNET[f"{name}_loss"], rtol=1e-5, atol=1e-9)
    same_gradients(torch.autograd.grad(loss, [w]), [EQNET[f"{name}_dw"]])


def test_distillation():
    student = EQNET["kd_student"].clone().requires_grad_()
    teacher = EQNET["kd_teacher_logits"]
    loss = distilled(student, EQNET["kd_target"], teacher, 0.5)
    p = softmax(teacher, dim=1)
    entropy = -(p * p.log()).sum(1).mean()  # what cross-entropy has more than divergence
    torch.testing.assert_close(loss.detach() - 0.5 * entropy, EQNET["kd_loss"])
    same_gradients(torch.autograd.grad(loss, [student]), [EQNET["kd_dstudent"]])
