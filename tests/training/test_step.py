import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.contracts import Pass
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.training.health import Diverged
from bitswitch.training.step import train_step

RATE = 1e-3
PLAIN = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0}
SUMMED = {"update": "conventional", "alrs": {"reading": "off"}}


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def gradients(model, batch, bits):
    """Return the gradients of one pass of hard cross-entropy; statistics are put back."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.zero_grad()
    model.switch(bits)
    cross_entropy(model(batch.images), batch.targets).backward()
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
    }
    model.zero_grad()
    model.load_state_dict(state)
    return found


def only(learner, chosen):
    """Keep some of the passes that the method makes."""
    make = learner.method.passes
    learner.method.passes = lambda *args: make(*args)[chosen]


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-7)


def test_conventional_takes_one_step_along_the_sum_of_gradients(
    make_learner, tiny_run, batch, moment
):
    learner = make_learner(tiny_run(**PLAIN, **SUMMED))
    model, before = learner.model, values(learner.model)
    passes = [gradients(model, batch, bits) for bits in (8, 4, 2)]
    train_step(learner, batch, RATE, moment())
    for name, value in values(model).items():
        close(value, before[name] - RATE * sum(found[name] for found in passes))


def test_separate_updates_step_after_every_pass(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(**PLAIN, alrs={"reading": "off"}))
    reference = make_learner(tiny_run(**PLAIN, alrs={"reading": "off"})).model
    for bits in (8, 4, 2):
        found = gradients(reference, batch, bits)
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                parameter -= RATE * found[name]
    train_step(learner, batch, RATE, moment())
    for name, value in values(learner.model).items():
        close(value, reference.get_parameter(name).detach())


def test_scales_step_at_the_adapted_rate_and_weights_at_the_full_one(
    make_learner, tiny_run, batch, moment
):
    learner = make_learner(tiny_run(bitset=(4, 2), **PLAIN))
    model = learner.model
    only(learner, slice(1, None))
    found, before = gradients(model, batch, 2), values(model)
    (outcome,) = train_step(learner, batch, RATE, moment())
    largest = [
        found[name].abs().max() for name in model.scale_parameters() if not name.endswith("scale.4")
    ]
    mean = float(torch.stack(largest).clamp(max=1).mean())
    assert outcome.mean_gradient == pytest.approx(mean, rel=1e-4)
    assert outcome.scale_learning_rate == pytest.approx(0.1 * RATE * (1 - mean), rel=1e-4)
    for name, value in values(model).items():
        is_scale = name in model.scale_parameters()
        rate = outcome.scale_learning_rate if is_scale else RATE
        close(value, before[name] - rate * found[name])


@pytest.mark.parametrize("target", ["scales", "scales+norms+biases", "scales+weights"])
def test_what_alrs_targets_takes_the_adapted_rate(make_learner, tiny_run, batch, moment, target):
    alrs = {"reading": "factor-only", "target": target}
    learner = make_learner(tiny_run(bitset=(4, 2), **PLAIN, alrs=alrs))
    only(learner, slice(1, None))
    found, before = gradients(learner.model, batch, 2), values(learner.model)
    scales, moved = set(learner.model.scale_parameters()), set()
    train_step(learner, batch, RATE, moment())
    for name, value in values(learner.model).items():
        kind = "scales" if name in scales else "weights" if value.dim() > 1 else "norms+biases"
        rate = 0.1 * RATE if target == "scales+weights" or kind in target else RATE
        close(value, before[name] - rate * found[name])
        moved |= {kind} if bool(found[name].any()) else set()
    assert moved == {"scales", "norms+biases", "weights"}


def test_the_gradient_term_of_summed_passes_is_each_pass_own(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(**PLAIN, **SUMMED))
    model = learner.model
    found = gradients(model, batch, 4)
    outcome = train_step(learner, batch, RATE, moment())[1]
    with model.at(4):
        active = {id(p) for p in model.active_scales().values()}
    largest = [
        found[name].abs().max() for name, p in model.scale_parameters().items() if id(p) in active
    ]
    mean = torch.stack(largest).clamp(max=1).mean()
    assert outcome.mean_gradient == pytest.approx(float(mean), rel=1e-3)


def test_an_update_leaves_other_bit_widths_alone(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run())
    train_step(learner, batch, RATE, moment())
    only(learner, slice(1))
    before = values(learner.model)
    train_step(learner, batch, RATE, moment(1))
    for name, value in values(learner.model).items():
        if name.endswith((".4", ".2")):
            assert torch.equal(value, before[name]), name


def test_outcomes_report_loss_and_hits(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(**SUMMED))
    model = learner.model
    expected = {}
    for bits in (8, 4, 2):
        state = {name: value.clone() for name, value in model.state_dict().items()}
        with model.at(bits), torch.no_grad():
            logits = model(batch.images)
        model.load_state_dict(state)
        hits = int((logits.argmax(1) == batch.targets).sum())
        expected[bits] = float(cross_entropy(logits, batch.targets)), hits
    for outcome in train_step(learner, batch, RATE, moment()):
        loss, hits = expected[outcome.bits]
        assert outcome.loss == pytest.approx(loss, rel=1e-5)
        assert outcome.correct == hits


def test_a_chain_of_teachers_changes_all_but_the_widest(make_learner, tiny_run, batch, moment):
    plain, chain = (
        train_step(make_learner(tiny_run(distillation=name, **SUMMED)), batch, RATE, moment())
        for name in ("none", "neighbour")
    )
    assert plain[0].loss == chain[0].loss
    assert all(a.loss != b.loss for a, b in zip(plain[1:], chain[1:], strict=True))


def test_a_float_network_has_no_gradient_term(make_learner, tiny_run, batch, moment):
    (outcome,) = train_step(make_learner(tiny_run(bitset=(32,))), batch, RATE, moment())
    assert (outcome.bits, outcome.mean_gradient) == (32, 0.0)
    assert math.isfinite(outcome.loss)


def test_a_loss_that_is_not_finite_stops_before_the_update(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run())
    before = values(learner.model)
    broken = batch._replace(images=batch.images * math.nan)
    with pytest.raises(Diverged, match="nan at 8 bit in step 5"):
        train_step(learner, broken, RATE, moment(5))
    assert all(torch.equal(value, before[name]) for name, value in values(learner.model).items())


def test_a_scale_pushed_below_zero_stops(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(alrs={"reading": "off"}, scale_guard="stop"))
    with pytest.raises(Diverged, match=r"scale of layer .* after step 5; learning rates of scales"):
        train_step(learner, batch, 10.0, moment(5))


def test_a_scale_pushed_below_zero_is_mirrored_and_counted(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(alrs={"reading": "off"}))
    train_step(learner, batch, 10.0, moment(5))
    assert learner.reflections > 0
    assert all(bool((scale > 0).all()) for scale in learner.scales)


class Mixing(DoubleRounding):
    """Widest, then a random policy that is taught by it."""

    def passes(self, training, moment, layers):
        drawn = torch.randint(len(self.bitset), (len(layers),), generator=moment.generator)
        policy = {name: self.bitset[i] for name, i in zip(layers, drawn.tolist(), strict=True)}
        update = training.update == "separate"
        return [
            Pass(self.bitset[0], update=update),
            Pass(None, policy, teacher=0, soft=0.5, update=update),
        ]


@pytest.mark.parametrize("update", ["conventional", "separate"])
def test_passes_may_mix_bit_widths(make_learner, tiny_run, batch, moment, update):
    reading = "factor-only" if update == "separate" else "off"
    learner = make_learner(tiny_run(update=update, alrs={"reading": reading}))
    learner.method = Mixing(learner.method.options, learner.method.bitset)
    layers = set(learner.layers)
    widest, mixed = train_step(learner, batch, RATE, moment())
    assert (widest.bits, mixed.bits) == (8, None)
    assert math.isfinite(mixed.loss)
    assert layers == set(learner.layers)
    mean_factor = mixed.scale_learning_rate / RATE
    assert (0.01 < mean_factor < 1) if update == "separate" else mean_factor == 1


def test_scales_take_the_rate_of_a_pass_s_bit_width_whatever_single_layers_take(
    make_learner, tiny_run
):
    learner = make_learner(tiny_run())
    policy = {name: learner.model.bitset[0] for name in learner.layers}
    for bits, factor in learner.factors.items():
        assert learner.factor(Pass(bits, policy)) == factor
    assert learner.factor(Pass(None, policy)) == 1


def test_the_same_moment_draws_the_same_passes(make_learner, tiny_run, batch, moment):
    losses = []
    for _ in range(2):
        learner = make_learner(tiny_run())
        learner.method = Mixing(learner.method.options, learner.method.bitset)
        losses.append([one.loss for one in train_step(learner, batch, RATE, moment(3))])
    assert losses[0] == losses[1]


def test_a_pass_sets_up_what_it_needs(make_learner, tiny_run, batch, moment):
    learner, seen = make_learner(tiny_run(bitset=(4,))), []
    learner.method.passes = lambda *_: [Pass(4, setup=lambda model: seen.append(model))]
    train_step(learner, batch, RATE, moment())
    assert seen == [learner.model]


def test_a_pass_without_bit_width_is_refused(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run())
    learner.method.passes = lambda *_: [Pass(None)]
    with pytest.raises(ValueError, match="bits or a policy"):
        train_step(learner, batch, RATE, moment())


def test_gradients_are_clipped_by_value(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(**PLAIN, **SUMMED, clip_value=1e-3))
    before = values(learner.model)
    train_step(learner, batch, RATE, moment())
    moved = [(v - before[name]).abs().max() for name, v in values(learner.model).items()]
    assert 0 < max(moved) <= 1.01e-3 * RATE + 1e-7


def test_scales_may_have_a_learning_rate_of_their_own(make_learner, tiny_run, batch, moment):
    learner = make_learner(tiny_run(alrs={"reading": "off"}, scale_learning_rate=RATE / 4))
    rate = learner.training.learning_rate
    for outcome in train_step(learner, batch, rate, moment()):
        assert outcome.scale_learning_rate == pytest.approx(RATE / 4)
