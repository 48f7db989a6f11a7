"""What every installed method promises; a new one is tested by being installed."""

import copy

import pytest
import torch
from torch import nn

from bitswitch import plugins
from bitswitch.nn.model import quantize
from bitswitch.spec import TrainingSpec
from bitswitch.types import FLOAT_BITS


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 8),
        nn.Linear(8, 4),
    )


IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
TARGETS = torch.arange(16) % 4


@pytest.fixture(params=plugins.names("methods"))
def method(request):
    bitset = (FLOAT_BITS,) if request.param == "float32" else (8, 4, 2)
    return plugins.create("methods", request.param, {}, bitset)


@pytest.fixture
def model(method):
    model = quantize(network(), method)
    model.calibrate([IMAGES])
    return model


def loss(model):
    return nn.functional.cross_entropy(model(IMAGES), TARGETS)


def test_it_names_its_source(method):
    assert method.source
    assert method.source == method.source.lower()


def test_training_value_is_the_deployed_value(method, model):
    x = IMAGES.relu()
    for bits in method.bitset:
        model.switch(bits)
        for layer in model.layers.values():
            for quantizer, switch, values in (
                (layer.weight_quantizer, layer.weight_switch, layer.weight),
                (layer.activation_quantizer, layer.activation_switch, x),
            ):
                codes = quantizer.encode(values, switch.width)
                assert torch.equal(codes.decode(), quantizer(values, switch.width))
                assert not codes.values.is_floating_point()
                assert len(codes.values.unique()) <= 2**bits


def test_the_same_call_gives_the_same_value(method, model):
    model.eval()
    for bits in method.bitset:
        with model.at(bits):
            assert torch.equal(model(IMAGES), model(IMAGES))


def test_gradients_are_finite(method, model):
    for bits in method.bitset:
        model.switch(bits)
        loss(model).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.active_scales().values())


def test_switching_away_and_back_changes_nothing(method, model):
    model.eval()
    outputs = {}
    for bits in (*method.bitset, FLOAT_BITS):
        with model.at(bits):
            outputs[bits] = model(IMAGES)
    for bits, before in outputs.items():
        with model.at(bits):
            assert torch.equal(model(IMAGES), before)


def test_state_round_trips(method, model):
    other = quantize(network(), copy.deepcopy(method))
    other.load_state_dict(model.state_dict())
    model.eval()
    other.eval()
    for bits in method.bitset:
        with model.at(bits), other.at(bits):
            assert torch.equal(model(IMAGES), other(IMAGES))


@pytest.mark.parametrize("update", ["conventional", "separate"])
@pytest.mark.parametrize("distillation", ["none", "neighbour"])
def test_passes_visit_every_bit_width_and_teachers_come_first(method, update, distillation):
    spec = TrainingSpec(epochs=1, batch_size=1, update=update, distillation=distillation)
    seen: set[int] = set()
    for step in method.passes(spec):
        assert step.teacher is None or step.teacher in seen
        seen.add(step.bits)
    assert seen == set(method.bitset)


def test_a_few_steps_lower_the_loss(method, model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def losses():
        values = []
        for bits in method.bitset:
            with model.at(bits), torch.no_grad():
                values.append(loss(model).item())
        return values

    before = losses()
    for _ in range(5):
        optimizer.zero_grad()
        for bits in method.bitset:
            model.switch(bits)
            loss(model).backward()
        optimizer.step()
    assert all(after < start for after, start in zip(losses(), before, strict=True))
