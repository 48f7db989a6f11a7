import numpy as np
import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.methods.float32 import Float32
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.recalibration import recalibrate
from bitswitch.types import FLOAT_BITS

from .small_network import BITSET, float_net


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(3)
    sizes_and_spreads = ((6, 1.0), (6, 3.0), (4, 0.5))
    return [
        torch.randn(n, 3, 12, 12, generator=generator) * spread + spread
        for n, spread in sizes_and_spreads
    ]


def norms(model):
    return [m for m in model.modules() if isinstance(m, SwitchableBatchNorm | nn.BatchNorm2d)]


def seen_by_first_norm(model, batches, bits):
    """Inputs [n, channels, h, w] of the first batch norm, which no batch norm precedes."""
    seen = []
    handle = norms(model)[0].register_forward_pre_hook(lambda _, x: seen.append(x[0].numpy()))
    with model.eval().at(bits), torch.no_grad():
        for images in batches:
            model(images)
    handle.remove()
    return seen


def expected(seen):
    """Averages over batches of the mean and of the unbiased variance, in float64."""
    means = [x.astype(np.float64).mean((0, 2, 3)) for x in seen]
    variances = [x.astype(np.float64).var((0, 2, 3), ddof=1) for x in seen]
    return np.mean(means, 0), np.mean(variances, 0)


def assert_statistics(norm, index, seen):
    mean, variance = expected(seen)
    np.testing.assert_allclose(norm.running_mean[index], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.running_var[index], variance, rtol=1e-5)
    assert norm.num_batches_tracked[index] == len(seen)


def test_statistics_are_averages_over_the_batches(model, batches):
    recalibrate(model, lambda: batches)
    first = norms(model)[0]
    for index, bits in enumerate(BITSET):
        assert_statistics(first, index, seen_by_first_norm(model, batches, bits))


def test_later_norms_measure_behind_earlier_ones_as_in_training(model, batches):
    """One batch: the second norm sees what train mode shows it, at its own bit-width."""
    second, seen = norms(model)[1], {}

    def watch(_, x):
        seen[model.layers["3"].weight_switch.bits] = x[0].numpy()

    handle = second.register_forward_pre_hook(watch)
    recalibrate(model, lambda: batches[:1])
    handle.remove()
    assert set(seen) == set(BITSET)
    for index, bits in enumerate(BITSET):
        assert_statistics(second, index, [seen[bits]])
    assert not torch.equal(second.running_mean[0], second.running_mean[-1])


def test_only_statistics_change(model, batches):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recalibrate(model, lambda: batches)
    changed = {
        name.rsplit(".", 1)[1]
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_a_norm_resets_the_bit_width_in_use_alone(batches):
    norm = SwitchableBatchNorm(nn.BatchNorm2d(3), BITSET)
    norm.switch(4)
    norm.begin_recalibration()
    for x in batches:
        norm(x)
    norm.end_recalibration()
    assert_statistics(norm, 1, [x.numpy() for x in batches])
    for index in (0, 2):
        assert norm.running_mean[index].tolist() == [0, 0, 0]
        assert norm.running_var[index].tolist() == [1, 1, 1]
        assert norm.num_batches_tracked[index] == 0


def test_policy_modes_and_momenta_are_restored(model, batches):
    policy = {"3": (8, 2), "6": 4, "9": FLOAT_BITS}
    model.train().switch(policy)
    norms(model)[1].eval()
    norms(model)[1].momentum = 0.25
    modes = [module.training for module in model.modules()]
    recalibrate(model, lambda: batches)
    assert [module.training for module in model.modules()] == modes
    assert [norm.momentum for norm in norms(model)] == [0.1, 0.25]
    assert [(m.weight_switch.bits, m.activation_switch.bits) for m in model.layers.values()] == [
        (8, 2),
        (4, 4),
        (FLOAT_BITS, FLOAT_BITS),
    ]


def test_modes_and_momenta_are_restored_after_an_error(model):
    model.train()
    with pytest.raises(RuntimeError):
        recalibrate(model, lambda: [torch.zeros(1, 5, 12, 12)])
    assert all(module.training for module in model.modules())
    assert [norm.momentum for norm in norms(model)] == [0.1, 0.1]


def test_it_is_deterministic_and_forgets_earlier_statistics(model, batches):
    recalibrate(model, lambda: batches)
    first = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()(batches[1] * 9)
    recalibrate(model, lambda: batches)
    assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())


def test_dropout_is_off(batches):
    model = quantize(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3)), float32())
    recalibrate(model.train(), lambda: batches)
    mean, variance = expected([x.numpy() for x in batches])
    np.testing.assert_allclose(model.net[1].running_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(model.net[1].running_var, variance, rtol=1e-5)
    assert model.net[1].training
    assert model.net[1].momentum == 0.1


def test_a_norm_shared_by_all_bit_widths_averages_over_them(model, batches):
    model.net[1] = nn.BatchNorm2d(8)
    recalibrate(model, lambda: batches)
    seen = [x for bits in BITSET for x in seen_by_first_norm(model, batches, bits)]
    mean, variance = expected(seen)
    np.testing.assert_allclose(model.net[1].running_mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.net[1].running_var, variance, rtol=1e-5)


def test_without_batch_norm_nothing_runs():
    model = quantize(nn.Sequential(nn.Linear(3, 3)), float32())

    def batches():
        raise AssertionError("no batch is needed")

    recalibrate(model, batches)


def test_a_compiled_model_measures_the_same(model, batches):
    recalibrate(model, lambda: batches)
    expected_state = {name: value.clone() for name, value in model.state_dict().items()}
    model.compile(backend="aot_eager")
    recalibrate(model.train(), lambda: batches)
    assert all(
        torch.equal(value, expected_state[name]) for name, value in model.state_dict().items()
    )


def test_a_float_model_is_recalibrated(batches):
    model = quantize(float_net(), float32())
    recalibrate(model, lambda: batches)
    mean, variance = expected(seen_by_first_norm(model, batches, FLOAT_BITS))
    np.testing.assert_allclose(norms(model)[0].running_mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norms(model)[0].running_var, variance, rtol=1e-5)


def float32():
    return Float32(Float32.Options(), (FLOAT_BITS,))
