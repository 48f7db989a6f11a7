import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.contracts.method import Pass
from bitswitch.errors import Diverged
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.training.step import train_step

RATE = 1e-3
PLAIN = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0}
SUMMED = {"update": "conventional", "alrs": None}


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def gradients(model, batch, bits):
    """Return the gradients of one pass of hard cross-entropy; statistics are put back."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.zero_grad()
    model.switch(bits)
    cross_entropy(model(batch.inputs), batch.targets).backward()
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
    }
    model.zero_grad()
    model.load_state_dict(state)
    return found


def only(train_state, chosen):
    """Keep some of the passes that the method makes."""
    make = train_state.method.passes
    train_state.method.passes = lambda *args: make(*args)[chosen]


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-7)


def test_conventional_takes_one_step_along_the_sum_of_gradients(
    make_learner, tiny_run, batch, step_info
):
    train_state = make_learner(tiny_run(**PLAIN, **SUMMED))
    model, before = train_state.model, values(train_state.model)
    passes = [gradients(model, batch, bits) for bits in (8, 4, 2)]
    train_step(train_state, batch, RATE, step_info())
    for name, value in values(model).items():
        close(value, before[name] - RATE * sum(found[name] for found in passes))


def test_separate_updates_step_after_every_pass(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run(**PLAIN, alrs=None))
    reference = make_learner(tiny_run(**PLAIN, alrs=None)).model
    for bits in (8, 4, 2):
        found = gradients(reference, batch, bits)
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                parameter -= RATE * found[name]
    train_step(train_state, batch, RATE, step_info())
    for name, value in values(train_state.model).items():
        close(value, reference.get_parameter(name).detach())


def test_scales_step_at_the_adapted_rate_and_weights_at_the_full_one(
    make_learner, tiny_run, batch, step_info
):
    train_state = make_learner(tiny_run(bitset=(4, 2), **PLAIN))
    model = train_state.model
    only(train_state, slice(1, None))
    found, before = gradients(model, batch, 2), values(model)
    (result,) = train_step(train_state, batch, RATE, step_info())
    largest = [
        found[name].abs().max() for name in model.scale_parameters() if not name.endswith("scale.4")
    ]
    mean = float(torch.stack(largest).clamp(max=1).mean())
    assert result.mean_gradient == pytest.approx(mean, rel=1e-4)
    assert result.scale_learning_rate == pytest.approx(0.1 * RATE * (1 - mean), rel=1e-4)
    for name, value in values(model).items():
        is_scale = name in model.scale_parameters()
        rate = result.scale_learning_rate if is_scale else RATE
        close(value, before[name] - rate * found[name])


def test_relative_updates_move_a_scale_by_its_share(make_learner, tiny_run, batch, step_info):
    def stepped(**options):
        train_state = make_learner(tiny_run(bitset=(4, 2), **PLAIN, **SUMMED, **options))
        before = values(train_state.model)
        train_step(train_state, batch, RATE, step_info())
        return train_state.model, before

    (absolute, before), (relative, _) = stepped(), stepped(scale_step="relative")
    scales = set(relative.scale_parameters())
    assert scales
    for name, value in values(relative).items():
        step = values(absolute)[name] - before[name]
        close(value, before[name] + (before[name] if name in scales else 1) * step)


@pytest.mark.parametrize("target", ["scales", "scales+norms+biases", "scales+weights"])
def test_what_alrs_targets_takes_the_adapted_rate(make_learner, tiny_run, batch, step_info, target):
    alrs = {"variant": "factor-only", "target": target}
    train_state = make_learner(tiny_run(bitset=(4, 2), **PLAIN, alrs=alrs))
    only(train_state, slice(1, None))
    found, before = gradients(train_state.model, batch, 2), values(train_state.model)
    scales, moved = set(train_state.model.scale_parameters()), set()
    train_step(train_state, batch, RATE, step_info())
    for name, value in values(train_state.model).items():
        kind = "scales" if name in scales else "weights" if value.dim() > 1 else "norms+biases"
        rate = 0.1 * RATE if target == "scales+weights" or kind in target else RATE
        close(value, before[name] - rate * found[name])
        moved |= {kind} if bool(found[name].any()) else set()
    assert moved == {"scales", "norms+biases", "weights"}


def test_the_gradient_term_of_summed_passes_is_each_pass_own(
    make_learner, tiny_run, batch, step_info
):
    train_state = make_learner(tiny_run(**PLAIN, **SUMMED, record_scale_gradients=True))
    model = train_state.model
    found = gradients(model, batch, 4)
    result = train_step(train_state, batch, RATE, step_info())[1]
    with model.at(4):
        active = {id(p) for p in model.active_scales().values()}
    largest = [
        found[name].abs().max() for name, p in model.scale_parameters().items() if id(p) in active
    ]
    mean = torch.stack(largest).clamp(max=1).mean()
    assert result.mean_gradient == pytest.approx(float(mean), rel=1e-3)


def test_an_update_leaves_other_bit_widths_alone(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run())
    train_step(train_state, batch, RATE, step_info())
    only(train_state, slice(1))
    before = values(train_state.model)
    train_step(train_state, batch, RATE, step_info(1))
    for name, value in values(train_state.model).items():
        if name.endswith((".4", ".2")):
            assert torch.equal(value, before[name]), name


def test_outcomes_report_loss_and_hits(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run(**SUMMED))
    model = train_state.model
    expected = {}
    for bits in (8, 4, 2):
        state = {name: value.clone() for name, value in model.state_dict().items()}
        with model.at(bits), torch.no_grad():
            logits = model(batch.inputs)
        model.load_state_dict(state)
        hits = int((logits.argmax(1) == batch.targets).sum())
        expected[bits] = float(cross_entropy(logits, batch.targets)), hits
    for result in train_step(train_state, batch, RATE, step_info()):
        loss, hits = expected[result.bits]
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.headline == 100 * hits


def test_a_chain_of_teachers_changes_all_but_the_widest(make_learner, tiny_run, batch, step_info):
    plain, chain = (
        train_step(make_learner(tiny_run(distillation=name, **SUMMED)), batch, RATE, step_info())
        for name in ("none", "neighbour")
    )
    assert plain[0].loss == chain[0].loss
    assert all(a.loss != b.loss for a, b in zip(plain[1:], chain[1:], strict=True))


def test_a_float_network_has_no_gradient_term(make_learner, tiny_run, batch, step_info):
    (result,) = train_step(make_learner(tiny_run(bitset=(32,))), batch, RATE, step_info())
    assert (result.bits, result.mean_gradient) == (32, None)
    assert math.isfinite(result.loss)


def test_a_loss_that_is_not_finite_stops_before_the_update(
    make_learner, tiny_run, batch, step_info
):
    train_state = make_learner(tiny_run())
    before = values(train_state.model)
    broken = batch._replace(inputs=batch.inputs * math.nan)
    with pytest.raises(Diverged, match="nan at 8 bit in step 5"):
        train_step(train_state, broken, RATE, step_info(5))
    assert all(
        torch.equal(value, before[name]) for name, value in values(train_state.model).items()
    )


def test_a_scale_pushed_below_zero_stops(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run(alrs=None, scale_guard="stop"))
    with pytest.raises(Diverged, match=r"scale of layer .* after step 5; learning rates of scales"):
        train_step(train_state, batch, 10.0, step_info(5))


def test_a_scale_pushed_below_zero_is_mirrored_and_counted(
    make_learner, tiny_run, batch, step_info
):
    train_state = make_learner(tiny_run(alrs=None))
    train_step(train_state, batch, 10.0, step_info(5))
    assert train_state.reflections > 0
    assert all(bool((scale > 0).all()) for scale in train_state.scales)


class Mixing(DoubleRounding):
    """Widest, then a random policy that is taught by it."""

    def passes(self, training, step_info, layers):
        drawn = torch.randint(len(self.bitset), (len(layers),), generator=step_info.generator)
        policy = {name: self.bitset[i] for name, i in zip(layers, drawn.tolist(), strict=True)}
        update = training.update == "separate"
        return [
            Pass(self.bitset[0], update=update),
            Pass(None, policy, teacher=0, distill_weight=0.5, update=update),
        ]


@pytest.mark.parametrize("update", ["conventional", "separate"])
def test_passes_may_mix_bit_widths(make_learner, tiny_run, batch, step_info, update):
    alrs = {"variant": "factor-only"} if update == "separate" else None
    train_state = make_learner(tiny_run(update=update, alrs=alrs))
    train_state.method = Mixing(train_state.method.options, train_state.method.bitset)
    layers = set(train_state.layers)
    widest, mixed = train_step(train_state, batch, RATE, step_info())
    assert (widest.bits, mixed.bits) == (8, None)
    assert math.isfinite(mixed.loss)
    assert layers == set(train_state.layers)
    mean_factor = mixed.scale_learning_rate / RATE
    assert (0.01 < mean_factor < 1) if update == "separate" else mean_factor == 1


def test_scales_take_the_rate_of_a_pass_s_bit_width_whatever_single_layers_take(
    make_learner, tiny_run
):
    train_state = make_learner(tiny_run(alrs={"variant": "factor-only"}))
    method, training = train_state.method, train_state.training
    policy = {name: train_state.model.bitset[0] for name in train_state.layers}
    none = torch.zeros(0)
    for bits, factor in {8: 1.0, 4: 0.01, 2: 0.001}.items():
        assert method.scale_learning_rate(training, Pass(bits, policy), 1.0, none) == factor
    assert method.scale_learning_rate(training, Pass(None, policy), 1.0, none) == 1


@pytest.mark.parametrize(
    ("recipe", "recorded"),
    [
        ({"alrs": None}, False),
        (SUMMED, False),
        ({"alrs": None, "record_scale_gradients": True}, True),
        ({"alrs": {"variant": "factor-only"}}, True),
    ],
)
def test_gradients_are_counted_where_somebody_asks(
    make_learner, tiny_run, batch, step_info, recipe, recorded
):
    train_state = make_learner(tiny_run(**recipe))
    results = train_step(train_state, batch, RATE, step_info())
    assert bool(train_state.gradients) == recorded
    assert all((one.mean_gradient is not None) == recorded for one in results)


def test_gradients_of_a_pass_with_a_policy_are_recorded_too(
    make_learner, tiny_run, batch, step_info, monkeypatch
):
    found = []
    for policy in (False, True):
        train_state = make_learner(tiny_run(alrs=None, record_scale_gradients=True))
        drawn = Pass(4, dict.fromkeys(train_state.layers, 4) if policy else None)
        monkeypatch.setattr(train_state.method, "passes", lambda *_, drawn=drawn: [drawn])
        (result,) = train_step(train_state, batch, RATE, step_info())
        found.append(result.mean_gradient)
    assert found[0] == found[1] > 0


def test_recording_gradients_does_not_change_a_step(make_learner, tiny_run, batch, step_info):
    recipes = ({"alrs": None}, {"alrs": None, "record_scale_gradients": True})
    states = [make_learner(tiny_run(**recipe)) for recipe in recipes]
    for train_state in states:
        train_step(train_state, batch, RATE, step_info())
    first, second = (values(train_state.model) for train_state in states)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("kind", "recipe", "expected"),
    [
        (DoubleRounding, {}, [8, 4, 2]),
        (DoubleRounding, {"accumulate": 2}, [8, 8, 4, 4, 2, 2]),
        (Mixing, {}, None),
    ],
)
def test_a_step_says_which_passes_may_be_captured(
    make_learner, tiny_run, batch, step_info, monkeypatch, kind, recipe, expected
):
    train_state, told = make_learner(tiny_run(**recipe)), []
    train_state.method = kind(train_state.method.options, train_state.method.bitset)
    monkeypatch.setattr(train_state.model, "begin_step", told.append)
    train_step(train_state, batch, RATE, step_info())
    assert told == [expected]


class Halving(DoubleRounding):
    """Scales of narrower bit-widths learn half as fast, or not at all where gradients are zero."""

    def scale_learning_rate(self, training, current, base, largest):
        return base / 2 ** self.bitset.index(current.bits) * (largest.amax() > 0).double()


class HalvingOnTheHost(Halving):
    """The same in numbers of Python."""

    def scale_learning_rate(self, training, current, base, largest):
        return base / 2 ** self.bitset.index(current.bits) * (max(largest.tolist()) > 0)


@pytest.mark.parametrize("rule", [Halving, HalvingOnTheHost])
@pytest.mark.parametrize("update", ["conventional", "separate"])
def test_a_method_may_have_a_rule_of_its_own(
    make_learner, tiny_run, batch, step_info, update, rule
):
    recipe = tiny_run(**PLAIN, update=update, alrs=None)
    train_state, reference = make_learner(recipe), make_learner(recipe)
    method = rule(train_state.method.options, train_state.method.bitset)
    train_state = type(train_state).of(
        method, train_state.model, train_state.training, train_state.distillation
    )
    results = train_step(train_state, batch, RATE, step_info())
    assert [one.scale_learning_rate for one in results] == [RATE, RATE / 2, RATE / 4]
    if update == "conventional":  # one update, at the rate of the last pass
        before = values(reference.model)
        train_step(reference, batch, RATE, step_info())
        full, quarter = values(reference.model), values(train_state.model)
        for name in reference.model.scale_parameters():
            close(quarter[name] - before[name], (full[name] - before[name]) / 4)


def test_the_same_moment_draws_the_same_passes(make_learner, tiny_run, batch, step_info):
    losses = []
    for _ in range(2):
        train_state = make_learner(tiny_run())
        train_state.method = Mixing(train_state.method.options, train_state.method.bitset)
        losses.append([one.loss for one in train_step(train_state, batch, RATE, step_info(3))])
    assert losses[0] == losses[1]


def test_a_pass_sets_up_what_it_needs(make_learner, tiny_run, batch, step_info):
    train_state, seen = make_learner(tiny_run(bitset=(4,))), []
    train_state.method.passes = lambda *_: [Pass(4, setup=lambda model: seen.append(model))]
    train_step(train_state, batch, RATE, step_info())
    assert seen == [train_state.model]


def test_a_pass_without_bit_width_is_refused(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run())
    train_state.method.passes = lambda *_: [Pass(None)]
    with pytest.raises(ValueError, match="bits or a policy"):
        train_step(train_state, batch, RATE, step_info())


def test_gradients_are_clipped_by_value(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run(**PLAIN, **SUMMED, clip_value=1e-3))
    before = values(train_state.model)
    train_step(train_state, batch, RATE, step_info())
    moved = [(v - before[name]).abs().max() for name, v in values(train_state.model).items()]
    assert 0 < max(moved) <= 1.01e-3 * RATE + 1e-7


def test_scales_may_have_a_learning_rate_of_their_own(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run(alrs=None, scale_learning_rate=RATE / 4))
    rate = train_state.training.learning_rate
    for result in train_step(train_state, batch, rate, step_info()):
        assert result.scale_learning_rate == pytest.approx(RATE / 4)
