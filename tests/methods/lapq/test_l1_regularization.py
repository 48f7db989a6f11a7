import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.contracts.method import Pass, PassContext
from bitswitch.methods.lapq.l1_regularization import L1Regularization
from bitswitch.testing.subject import (
    Subject,
    batch,
    quantized,
    run_spec,
    step_info,
    take_step,
    train,
)
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)


def method(**options):
    return L1Regularization(L1Regularization.Options(**options), BITSET)


def context(one):
    """Return a lesson in double precision, on which differences can be taken."""
    model = quantized(one).double()
    model.switch(FLOAT_BITS)
    images = batch().inputs.double()
    return PassContext(
        Pass(FLOAT_BITS), model(images), batch().targets, batch(), (), model, step_info()
    )


def weights(model):
    return [layer.weight for layer in model.layers.values()]


def penalty(model, strength):
    """Return the penalty on weights for the state ``model`` is in."""
    loss = cross_entropy(model(batch().inputs.double()), batch().targets)
    gradients = torch.autograd.grad(loss, weights(model))
    return strength * sum(g.abs().sum() for g in gradients)


def test_the_penalty_is_the_l1_norm_of_the_gradient_of_weights():
    one = method(weight_strength=0.3, activation_strength=0)
    given = context(one)
    loss = cross_entropy(given.logits, given.targets)
    norm = sum(
        gradient.abs().sum()
        for gradient in torch.autograd.grad(loss, weights(given.model), retain_graph=True)
    )
    torch.testing.assert_close(one.loss(given), loss + 0.3 * norm)


def test_its_gradient_is_that_of_finite_differences():
    one = method(weight_strength=1.0, activation_strength=0)
    given = context(one)
    weight = weights(given.model)[0]
    ordinary = cross_entropy(given.logits, given.targets)
    whole = torch.autograd.grad(one.loss(given), weight, retain_graph=True)[0]
    gradient = whole - torch.autograd.grad(ordinary, weight)[0]
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).double()
    step, values = 1e-7, []
    for sign in (1, -1):
        moved = copy.deepcopy(given.model.state_dict())
        moved[next(n for n, p in given.model.named_parameters() if p is weight)] += (
            sign * step * direction
        )
        other = quantized(one).double()
        other.load_state_dict(moved)
        other.switch(FLOAT_BITS)
        values.append(penalty(other, 1.0).item())
    difference = (values[0] - values[1]) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(difference, rel=1e-4)


def test_activations_are_penalised_by_their_own_strength():
    one = method(weight_strength=0, activation_strength=0.7)
    given = context(one)
    inputs = [given.model.memory.seen[layer] for layer in given.model.layers.values()]
    loss = cross_entropy(given.logits, given.targets)
    norm = sum(g.abs().sum() for g in torch.autograd.grad(loss, inputs, retain_graph=True))
    torch.testing.assert_close(one.loss(given), loss + 0.7 * norm)
    assert not given.model.memory.seen


def test_nothing_is_kept_in_evaluation():
    model = quantized(method()).eval()
    model.switch(FLOAT_BITS)
    model(batch().inputs)
    assert not model.memory.seen


def test_training_lowers_the_norm():
    norms = {}
    for strength in (0.0, 0.5):
        options = {"weight_strength": strength, "activation_strength": 0.0}
        train_state = Subject.of("l1-regularization", options).train_state()
        train(train_state, 20)
        train_state.model.switch(FLOAT_BITS)
        norms[strength] = penalty(train_state.model.double(), 1.0).item()
    assert norms[0.5] < 0.5 * norms[0.0]


@pytest.mark.parametrize("clips", ["lapq", "max"])
def test_the_network_is_quantized_after_training(clips):
    options = {"clips": clips, "iterations": 1, "evaluations": 10}
    model = Subject.of("l1-regularization", options).deployed
    for layer in model.layers.values():
        found = layer.weight_quantizer.clips
        assert (found <= layer.weight.detach().abs().max() * 10).all()
        if clips == "max":
            assert (found == layer.weight.detach().abs().max()).all()
    found = torch.stack([layer.weight_quantizer.clips for layer in model.layers.values()])
    assert (found[:, :1] == found).all() == (clips == "max")


def test_a_step_is_one_float_pass():
    train_state = Subject.of("l1-regularization").train_state()
    (result,) = take_step(train_state, 0)
    assert result.bits == FLOAT_BITS


def test_there_is_no_teacher():
    spec = run_spec("l1-regularization", {}, BITSET, distillation="neighbour")
    assert method().skip(spec)
    assert method().skip(run_spec("l1-regularization", {}, BITSET)) is None
