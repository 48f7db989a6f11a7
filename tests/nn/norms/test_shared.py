import copy

import pytest
import torch
from torch import nn

from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.norms.shared import SharedBatchNorm
from bitswitch.nn.recalibration import Recalibrated, recalibrate
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)
DRAW = torch.Generator().manual_seed(0)
IMAGES = [torch.randn(6, 3, 4, 4, generator=DRAW) * (n + 1) + n for n in range(3)]


def float_norm(**options):
    norm = nn.BatchNorm2d(3, **options)
    with torch.no_grad():
        for value in (norm.weight, norm.bias, norm.running_mean):
            if value is not None:
                value.copy_(torch.randn(3, generator=DRAW))
    return norm


def measure(norm, bits, images):
    norm.switch(bits)
    norm.begin_recalibration()
    for batch in images:
        norm(batch)
    norm.end_recalibration()


@pytest.mark.parametrize("momentum", [0.1, None])
def test_it_trains_as_the_float_norm_whatever_the_bit_width(momentum):
    expected = float_norm(momentum=momentum).train()
    norm = SharedBatchNorm(copy.deepcopy(expected), BITSET)
    for bits, batch in zip(BITSET, IMAGES, strict=True):
        norm.switch(bits)
        torch.testing.assert_close(norm(batch), expected(batch))
    for name, value in expected.named_buffers():
        torch.testing.assert_close(norm.get_buffer(name), value)
    expected.eval()
    norm.eval()
    for bits in (*BITSET, FLOAT_BITS):
        norm.switch(bits)
        torch.testing.assert_close(norm(IMAGES[0]), expected(IMAGES[0]))


def test_measured_statistics_are_even_averages():
    norm = SharedBatchNorm(float_norm(), BITSET).eval()
    measure(norm, 4, IMAGES[:1])
    measure(norm, 4, IMAGES)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in IMAGES]).mean(0)
    variances = torch.stack([batch.var((0, 2, 3)) for batch in IMAGES]).mean(0)
    torch.testing.assert_close(norm.measured_mean[1], means)
    torch.testing.assert_close(norm.measured_var[1], variances)
    assert norm.measured_batches.tolist() == [0, 3, 0]


def test_a_measured_bit_width_uses_its_own_statistics_in_evaluation_alone():
    plain = SharedBatchNorm(float_norm(), BITSET).eval()
    norm = copy.deepcopy(plain)
    measure(norm, 4, IMAGES)
    x = IMAGES[0]
    for bits in (*BITSET, FLOAT_BITS):
        norm.switch(bits)
        plain.switch(bits)
        assert torch.equal(norm(x), plain(x)) == (bits != 4)
    for bits in BITSET:
        norm.train().switch(bits)
        plain.train().switch(bits)
        assert torch.equal(norm(x), plain(x))


def test_measuring_leaves_training_statistics_alone():
    norm = SharedBatchNorm(float_norm(), BITSET).eval()
    before = norm.running_mean.clone()
    measure(norm, 2, IMAGES)
    assert torch.equal(norm.running_mean, before)
    assert norm.num_batches_tracked == 0


def test_state_says_what_was_measured():
    norm = SharedBatchNorm(float_norm(), BITSET).eval()
    measure(norm, 2, IMAGES)
    other = SharedBatchNorm(nn.BatchNorm2d(3), BITSET).eval()
    other.load_state_dict(norm.state_dict())
    for bits in BITSET:
        norm.switch(bits)
        other.switch(bits)
        assert torch.equal(norm(IMAGES[0]), other(IMAGES[0]))


def test_it_follows_the_narrower_operand_or_full_precision():
    norm = SharedBatchNorm(float_norm(), BITSET)
    norm.follow((8, 4), (2, 2))
    assert norm.bits == 4
    norm.follow((FLOAT_BITS, FLOAT_BITS), (2, 2))
    assert norm.bits == FLOAT_BITS


def test_norms_without_statistics_or_affine_parameters():
    norm = SharedBatchNorm(float_norm(affine=False, track_running_stats=False), BITSET).eval()
    expected = nn.BatchNorm2d(3, affine=False, track_running_stats=False).eval()
    torch.testing.assert_close(norm(IMAGES[0]), expected(IMAGES[0]))


def test_recalibration_reaches_it(model, images):
    for name, module in list(model.net.named_children()):
        if hasattr(module, "running_mean"):
            model.net.set_submodule(name, SharedBatchNorm(nn.BatchNorm2d(8), BITSET))
    shared = QuantizedModel(model.net, BITSET, model.float_parameters)
    norms = [m for m in shared.modules() if isinstance(m, SharedBatchNorm)]
    assert norms
    assert all(isinstance(norm, Recalibrated) for norm in norms)
    recalibrate(shared, lambda: [images, images])
    assert all(norm.measured_batches.tolist() == [2, 2, 2] for norm in norms)
    last = norms[-1].measured_mean
    assert not torch.equal(last[0], last[2])
