import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.optim import SGD, Adam

from bitswitch.spec.training import TrainingSpec
from bitswitch.training.step import train_step
from bitswitch.training.updates.scale_steps import scale_step

RATE = 0.1
RULES = ("clipped", "normalized", "lars", "lamb")
numbers = st.floats(1e-4, 10)
gradients = st.just(0.0) | numbers | numbers.map(lambda size: -size)
layers = st.lists(
    st.lists(st.tuples(numbers, gradients), min_size=1, max_size=3),
    min_size=1,
    max_size=4,
)


def norm(values):
    return math.sqrt(sum(value * value for value in values))


def factor(rule, scales, gradients):
    """Return what multiplies a layer's gradient, in Python numbers."""
    size = norm(gradients)
    if size == 0:
        return 0.0
    return {
        None: 1.0,
        "clipped": min(1.0, 1.0 / size),
        "normalized": 1.0 / size,
        "lars": norm(scales) / size,
        "lamb": norm(scales) / size,
    }[rule]


def parameters(layers, dtype=torch.float64):
    scales = [nn.Parameter(torch.tensor([s for s, _ in layer], dtype=dtype)) for layer in layers]
    for scale, layer in zip(scales, layers, strict=True):
        scale.grad = torch.tensor([g for _, g in layer], dtype=dtype)
    return scales


@pytest.mark.parametrize("rule", [None, *RULES])
@given(layers)
def test_plain_descent_follows_the_scalar_reference(rule, layers):
    scales = parameters(layers)
    optimizer = SGD(scales, lr=RATE)
    with scale_step(rule, scales, RATE):
        optimizer.step()
    for scale, layer in zip(scales, layers, strict=True):
        before, gradients = zip(*layer, strict=True)
        share = factor(rule, before, gradients)
        expected = [s - RATE * share * g for s, g in layer]
        assert scale.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_momentum_of_lars_gathers_steps_that_are_shares_of_scales():
    """you2017large, Alg. 1, at a constant learning rate."""
    (scale,) = parameters([[(2.0, 0.0)]])
    optimizer = SGD([scale], lr=RATE, momentum=0.9)
    value, velocity = 2.0, 0.0
    for gradient in (3.0, -1e-3, 40.0):
        scale.grad = torch.tensor([gradient], dtype=torch.float64)
        with scale_step("lars", [scale], RATE):
            optimizer.step()
        velocity = 0.9 * velocity + RATE * abs(value) / abs(gradient) * gradient
        value -= velocity
        assert scale.item() == pytest.approx(value)


def test_lamb_keeps_the_direction_of_adam_and_sets_its_length():
    before = torch.tensor([3.0, 4.0], dtype=torch.float64)
    plain, ruled = (nn.Parameter(before.clone()) for _ in range(2))
    optimizers = [Adam([scale], lr=RATE) for scale in (plain, ruled)]
    gradient = torch.tensor([1.0, -1e-9], dtype=torch.float64)
    for scale, optimizer in zip((plain, ruled), optimizers, strict=True):
        scale.grad = gradient.clone()
        with scale_step("lamb" if scale is ruled else None, [scale], RATE):
            optimizer.step()
    taken, wanted = (scale.detach() - before for scale in (ruled, plain))
    assert taken.norm().item() == pytest.approx(RATE * 5)
    torch.testing.assert_close(taken / taken.norm(), wanted / wanted.norm())


def test_a_negative_rate_ascends():
    (scale,) = parameters([[(2.0, 3.0)]])
    with scale_step("lamb", [scale], -RATE), torch.no_grad():
        scale += RATE * 3.0
    assert scale.item() == pytest.approx(2.0 + RATE * 2.0)


@pytest.mark.parametrize("rule", RULES)
def test_scales_without_a_gradient_stay(rule):
    scales = parameters([[(2.0, 3.0)], [(5.0, 0.0)], [(7.0, 1.0)]])
    scales[2].grad = None
    optimizer = SGD(scales, lr=RATE)
    with scale_step(rule, scales, RATE):
        optimizer.step()
    assert [scale.item() for scale in scales[1:]] == [5.0, 7.0]
    assert scales[0].item() < 2.0


def test_a_run_steps_by_its_rule(make_learner, tiny_run, batch, step_info):
    sgd = {"scale_optimizer": "sgd", "momentum": 0.0, "alrs": None}
    train_state = make_learner(tiny_run(bitset=(4,), **sgd, scale_step="lars"))
    before = [scale.detach().clone() for scale in train_state.scales]
    train_step(train_state, batch, 1e-3, step_info())
    moved = zip(before, train_state.scales, strict=True)
    shares = [(abs(now.detach() - old) / old).item() for old, now in moved]
    assert shares == pytest.approx([1e-3] * len(shares), rel=1e-3)


def recipe(**changes):
    return TrainingSpec(**{"epochs": 1, "batch_size": 1, "learning_rate": 0.4, **changes})


@pytest.mark.parametrize(
    ("rule", "optimizer", "message"),
    [
        ("normalized", "adam", r"Set training\.scale_optimizer to 'sgd', or scale_step to 'lamb'"),
        ("lars", None, r"norm of a gradient, which adam divides out"),
        ("lamb", "sgd", r"Set training\.scale_optimizer to 'adam', or scale_step to 'lars'"),
    ],
)
def test_rules_that_an_optimizer_undoes_are_refused(rule, optimizer, message):
    with pytest.raises(ValidationError, match=message):
        recipe(scale_step=rule, scale_optimizer=optimizer)


def test_recipes_without_a_rule_are_what_they_were():
    assert "scale_step" not in recipe().model_dump(mode="json")
    assert recipe(scale_step="lamb").model_dump(mode="json")["scale_step"] == "lamb"
