import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bitswitch.nn.model import QuantizedModel
from bitswitch.spec.training import TrainingSpec
from bitswitch.training.updates.optimizers import (
    Optimizers,
    Rates,
    _optimizer,
    drop_gradients,
    scheduled,
)


def recipe(**changes):
    return TrainingSpec(**{"epochs": 1, "batch_size": 1, "learning_rate": 0.4, **changes})


def test_cosine_falls_from_the_full_rate_to_zero():
    rates = [scheduled(recipe(), step, 4) for step in range(5)]
    assert rates == pytest.approx([0.4, 0.2 + 0.1 * 2**0.5, 0.2, 0.2 - 0.1 * 2**0.5, 0.0])


def test_constant_stays():
    assert {scheduled(recipe(schedule="constant"), step, 4) for step in range(4)} == {0.4}


def test_weight_decay_spares_scales_biases_and_batch_norm(make_learner, tiny_run):
    train_state = make_learner(tiny_run(weight_decay=0.1))
    decayed, spared = train_state.optimizers.weights.param_groups
    assert decayed["weight_decay"] == 0.1
    assert all(p.dim() > 1 for p in decayed["params"])
    assert spared["weight_decay"] == 0
    assert [group["weight_decay"] for group in train_state.optimizers.scales.param_groups] == [0]


def test_every_parameter_has_exactly_one_optimizer(make_learner, tiny_run):
    train_state = make_learner(tiny_run())
    held = [p for one in train_state.optimizers for g in one.param_groups for p in g["params"]]
    assert sorted(map(id, held)) == sorted(map(id, train_state.model.parameters()))


def test_a_float_network_has_no_optimizer_of_scales(make_learner, tiny_run):
    optimizers = make_learner(tiny_run(bitset=(32,))).optimizers
    assert optimizers.scales is None
    assert list(optimizers.state_dict()) == ["weights"]


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_weights_and_scales_step_at_their_own_rates(make_learner, tiny_run, name):
    train_state = make_learner(tiny_run(optimizer=name, weight_decay=0.0))
    model = train_state.model
    weight = next(iter(model.other_parameters().values()))
    scale = next(iter(model.scale_parameters().values()))
    before = weight.detach().clone(), scale.detach().clone()
    weight.grad, scale.grad = torch.ones_like(weight), torch.ones_like(scale)
    train_state.optimizers.step(Rates(weights=0.5, others=0.5, scales=-0.25))
    torch.testing.assert_close(weight.detach(), before[0] - 0.5)
    torch.testing.assert_close(scale.detach(), before[1] + 0.25)
    assert weight.grad is None
    assert scale.grad is None


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_parameter_without_gradient_is_not_moved_by_momentum(make_learner, tiny_run, name):
    train_state = make_learner(tiny_run(optimizer=name))
    norm = next(
        p for n, p in train_state.model.other_parameters().items() if n.endswith("weight.2")
    )
    norm.grad = torch.ones_like(norm)
    train_state.optimizers.step(Rates.of(0.1, 0.1))
    moved = norm.detach().clone()
    norm.grad = torch.ones_like(norm)
    drop_gradients([norm])
    train_state.optimizers.step(Rates.of(0.1, 0.1))
    torch.testing.assert_close(norm.detach(), moved, rtol=0, atol=0)


def test_state_survives_a_round_trip(make_learner, tiny_run):
    first, second = make_learner(tiny_run()), make_learner(tiny_run())
    for train_state in (first, second):
        for parameter in train_state.model.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)
    first.optimizers.step(Rates.of(0.1, 0.1))
    second.optimizers.load_state_dict(first.optimizers.state_dict())
    assert isinstance(second.optimizers, Optimizers)
    for mine, theirs in zip(first.optimizers, second.optimizers, strict=True):
        for a, b in zip(mine.state.values(), theirs.state.values(), strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)


def test_drop_gradients_leaves_others_alone():
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    a.grad, b.grad = torch.ones(1), torch.ones(1)
    drop_gradients([a])
    assert a.grad is None
    assert b.grad is not None


def test_milestones_divide_the_rate():
    training = recipe(schedule="step", milestones=[0.5, 0.75], decay=0.1)
    rates = [scheduled(training, step, 8) for step in range(8)]
    assert rates == pytest.approx([0.4] * 4 + [0.04] * 2 + [0.004] * 2)


def test_warm_up_rises_and_cosine_follows():
    training = recipe(epochs=4, warmup_epochs=1)
    rates = [scheduled(training, step, 16) for step in range(17)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4:] == pytest.approx([scheduled(recipe(), step, 12) for step in range(13)])


def test_scales_may_have_an_optimizer_of_their_own(make_learner, tiny_run):
    optimizers = make_learner(
        tiny_run(optimizer="sgd", nesterov=True, scale_optimizer="adam")
    ).optimizers
    assert isinstance(optimizers.weights, torch.optim.SGD)
    assert all(group["nesterov"] for group in optimizers.weights.param_groups)
    assert isinstance(optimizers.scales, torch.optim.Adam)


def test_cosine_may_leave_a_share():
    rates = [scheduled(recipe(final_share=0.5), step, 2) for step in range(3)]
    assert rates == pytest.approx([0.4, 0.3, 0.2])
    with pytest.raises(ValidationError, match=r"belongs to training\.schedule 'cosine'"):
        recipe(final_share=0.5, schedule="constant")


def test_embeddings_are_not_decayed():
    net = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 5))
    model = QuantizedModel(net, (32,), 0)
    decayed, spared = Optimizers.of(model, recipe(weight_decay=0.1)).weights.param_groups
    assert [p is net[0].weight for p in spared["params"]] == [True, False, False]
    assert [id(p) for p in decayed["params"]] == [id(net[1].weight), id(net[2].weight)]


def test_adamw_decays_weights_alone_and_apart_from_the_gradient(make_learner, tiny_run):
    train_state = make_learner(tiny_run(optimizer="adamw", weight_decay=0.5, betas=(0.5, 0.75)))
    optimizers, model = train_state.optimizers, train_state.model
    weight = optimizers.weights.param_groups[0]["params"][0]
    scale = next(iter(model.scale_parameters().values()))
    before = weight.detach().clone(), scale.detach().clone()
    weight.grad, scale.grad = torch.ones_like(weight), torch.zeros_like(scale)
    optimizers.step(Rates(weights=0.1, others=0.1, scales=0.1))
    torch.testing.assert_close(weight.detach(), before[0] * 0.95 - 0.1)
    assert torch.equal(scale.detach(), before[1])
    assert {group["betas"] for one in optimizers for group in one.param_groups} == {(0.5, 0.75)}


def test_the_norm_of_all_gradients_is_bounded(make_learner, tiny_run):
    training = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 3.0}
    train_state = make_learner(tiny_run(**training))
    one, two = list(train_state.model.other_parameters().values())[:2]
    before = one.detach().clone()
    one.grad, two.grad = torch.zeros_like(one), torch.zeros_like(two)
    first = (0,) * one.dim()
    one.grad[first], two.grad[(0,) * two.dim()] = 6.0, 8.0
    train_state.step(Rates(weights=1.0, others=1.0, scales=1.0))
    assert float((one.detach() - before)[first]) == pytest.approx(-1.8, rel=1e-5)


def test_new_options_leave_the_names_of_old_runs_alone():
    assert not {"betas", "clip_norm", "final_share"} & recipe().model_dump(mode="json").keys()
    dumped = recipe(betas=(0.9, 0.95), clip_norm=1.0, final_share=0.02).model_dump(mode="json")
    assert TrainingSpec.model_validate(dumped).betas == (0.9, 0.95)


@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"momentum": 0.0}])
def test_sgd_of_one_kernel_steps_as_that_of_several_whenever_gradients_begin(changes):
    """Of one kernel is that of accelerators, which reads a rate from their memory."""
    training, moved = recipe(optimizer="sgd", **changes), []
    for fused in (False, True):
        early, late = (nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
        groups = [{"params": [early, late], "weight_decay": 0.1}]
        optimizer = _optimizer("sgd", training, groups, fused_sgd=fused)
        for step in range(4):
            early.grad = torch.tensor([0.5, 1.0 + step])
            late.grad = torch.tensor([0.25, 1.0]) if step > 1 else None
            optimizer.param_groups[0]["lr"] = torch.tensor(0.1) if fused else 0.1
            optimizer.step()
        moved.append(torch.stack([early.detach(), late.detach()]))
    torch.testing.assert_close(*moved)
