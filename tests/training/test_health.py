import math

import pytest
import torch

from bitswitch.training.health import (
    Diverged,
    all_positive,
    broken_scale,
    by_scales,
    check_loss,
    flat,
    reflect_scales,
)


@pytest.fixture
def model(make_learner, tiny_run):
    return make_learner(tiny_run()).model


def scales(model):
    return list(model.scale_parameters().values())


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops(model, loss):
    with pytest.raises(Diverged, match=rf"the loss is {loss} at 4 bit in step 7$"):
        check_loss(loss, "at 4 bit in step 7", model)


def test_a_finite_loss_goes_on(model):
    check_loss(1e30, "anywhere", model)


def test_healthy_scales_go_on(model):
    assert broken_scale(model) is None
    assert bool(all_positive(flat(scales(model))))


def test_negative_scales_are_mirrored_and_counted():
    values = [torch.tensor(-0.25), torch.tensor([0.5, -2.0, 0.0])]
    parameters = [torch.nn.Parameter(value) for value in values]
    assert int(reflect_scales(parameters)) == 2
    assert [p.tolist() for p in parameters] == [0.25, [0.5, 2.0, 0.0]]


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan])
def test_a_broken_scale_is_named_with_its_place_and_rates(model, value):
    layer = "stages.1.0.conv2"
    scale = model.get_parameter(f"net.{layer}.activation_quantizer.scale.2")
    with torch.no_grad():
        scale.fill_(value)
    assert not bool(all_positive(flat(scales(model))))
    found = by_scales(model, "after step 3", {"8 bit": 5e-4, "2 bit": -0.25})
    message = f"the activation scale of layer '{layer}' at 2 bit is {value:.3g} after step 3"
    assert str(found) == f"{message}; learning rates of scales: 8 bit 0.0005, 2 bit -0.25"


def test_a_broken_scale_explains_a_loss(model):
    with torch.no_grad():
        model.get_parameter("net.stages.0.0.conv1.weight_quantizer.scale").zero_()
    with pytest.raises(Diverged, match=r"nan here; the weight scale of layer 'stages.0.0.conv1'"):
        check_loss(math.nan, "here", model)
