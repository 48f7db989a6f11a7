import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.conversion import quantize
from bitswitch.methods.lapq.kure import Kure
from bitswitch.methods.lapq.lapq import fit_clips, reach_values
from bitswitch.methods.lapq.powell import Budget
from bitswitch.nn.calibration import observe_inputs
from bitswitch.types import FLOAT_BITS
from tests.nn.small_network import BITSET, float_net

LABELS = torch.arange(6) % 5


@pytest.fixture
def model(images):
    model = quantize(float_net(), Kure(Kure.Options(), BITSET)).train()
    model.calibrate([images])
    return model


def losses(model, images):
    found = []
    model.eval()
    for bits in BITSET:
        with model.at(bits), torch.no_grad():
            found.append(cross_entropy(model(images), LABELS).item())
    return found


def clips(model):
    return torch.stack(
        [q.clips for layer in model.layers.values() for q in layer.quantizers.values()]
    )


def fitted(model, images, budget, count=6):
    fit_clips(model, [(images[:4], LABELS[:4]), (images[4:], LABELS[4:])], count, budget)
    return losses(model, images)


def test_searching_lowers_the_loss_of_every_bit_width(model, images):
    full = losses(model, images)
    start = fitted(model, images, Budget(0, None))
    found = fitted(model, images, Budget(2, 150))
    assert all(after < before for after, before in zip(found, start, strict=True))
    assert found[-1] < full[-1]


def test_the_start_is_the_best_of_four_powers(model, images):
    start = fitted(model, images, Budget(0, None))
    with model.at(FLOAT_BITS), observe_inputs(model.layers) as observed, torch.no_grad():
        model(images[:4])
        model(images[4:])
    for power in (2.0, 2.5, 3.0):
        for name, layer in model.layers.items():
            seen = {"weight": layer.weight.detach(), "activation": observed[name].values()}
            for operand, quantizer in layer.quantizers.items():
                for bits in BITSET:
                    found = quantizer.least_error_clip(seen[operand], bits, power)
                    quantizer.set_clip(bits, found)
        assert all(a <= b + 1e-6 for a, b in zip(start, losses(model, images), strict=True))


def test_it_gives_the_same_every_time(model, images):
    fitted(model, images, Budget(1, 20))
    first = clips(model).clone()
    fitted(model, images, Budget(1, 20))
    assert torch.equal(clips(model), first)


def test_clip_values_stay_positive_and_differ_between_bit_widths(model, images):
    fitted(model, images, Budget(1, 60))
    found = clips(model)
    assert (found > 0).all()
    assert not torch.equal(found[:, 0], found[:, -1])


def test_only_the_first_images_are_used(model, images):
    fitted(model, images, Budget(1, 20), count=3)
    first = clips(model).clone()
    fit_clips(model, [(images[:3], LABELS[:3])], 512, Budget(1, 20))
    torch.testing.assert_close(clips(model), first)


def test_mode_policy_and_statistics_are_left_alone(model, images):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.switch(4)
    model.train()
    fit_clips(model, [(images, LABELS)], 6, Budget(1, 10))
    assert model.training
    assert all(layer.weight_switch.bits == 4 for layer in model.layers.values())
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, state[n])}
    assert changed
    assert all(name.endswith(".clips") for name in changed)


def test_grids_may_reach_every_value(model, images):
    reach_values(model, [(images, LABELS)], 6)
    for layer in model.layers.values():
        peak = layer.weight.detach().abs().max()
        assert (layer.weight_quantizer.clips == peak).all()
