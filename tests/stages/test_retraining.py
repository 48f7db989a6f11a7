import pytest
import torch

from bitswitch.contracts.streams import Stream
from bitswitch.errors import PluginError, SpecError
from bitswitch.stages import retraining
from bitswitch.stages.evaluator import Evaluator
from bitswitch.stages.retraining import OnePolicy, retrained
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.step import queue_step
from bitswitch.training.trained import load_trained

TRAINING = {"epochs": 2, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}


@pytest.fixture
def policy(trained):
    return {name: (8, 4) if k % 2 else (2, 2) for k, name in enumerate(trained.model.layers)}


def after_retraining(trained, policy, spec, tmp_path):
    """Return how good ``policy`` is on test images after retraining."""
    model, clock = retrained(trained, policy, spec), Clock(torch.device("cpu"), Instant.now())
    evaluator = Evaluator(trained, spec, tmp_path / "evaluations.jsonl", clock)
    return evaluator.on(policy, "test", model=model)


@pytest.fixture
def steps(monkeypatch):
    """Return (batch, rate, moment, passes, learner) of every step."""
    seen = []

    def note(train_state, batch, rate, step_info, receive):
        passes = train_state.method.passes(train_state.training, step_info, train_state.layers)
        seen.append((batch, rate, step_info, passes, train_state))
        queue_step(train_state, batch, rate, step_info, receive)

    monkeypatch.setattr(retraining, "queue_step", note)
    return seen


def test_a_copy_is_trained_at_the_policy_alone(trained, policy, spec_of, steps):
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    retrained(trained, policy, spec_of(retraining={**TRAINING, "learning_rate": 1e-2}))
    assert all(torch.equal(v, before[name]) for name, v in trained.model.state_dict().items())
    train_state = steps[0][4]
    changed = {
        name
        for name, value in train_state.model.named_parameters()
        if not torch.equal(value, dict(trained.model.named_parameters())[name])
    }
    with train_state.model.at(policy):
        idle = {id(parameter) for parameter in train_state.model.inactive_parameters()}
    for name, parameter in train_state.model.named_parameters():
        assert name not in changed or id(parameter) not in idle, name
    assert any("weight" in name for name in changed)
    assert all([one.policy for one in passes] == [policy] for *_, passes, _ in steps)


def test_it_follows_its_recipe(trained, policy, spec_of, steps):
    spec = spec_of(retraining={**TRAINING, "learning_rate": 0.5e-3, "schedule": "cosine"}, seed=3)
    retrained(trained, policy, spec)
    rates = [rate for _, rate, *_ in steps]
    assert len(steps) == 6
    assert rates[0] == 0.5e-3
    assert rates == sorted(rates, reverse=True)
    moments = [step_info for _, _, step_info, *_ in steps]
    assert [(m.epoch, m.epochs, m.step, m.steps) for m in moments] == [
        (k // 3, 2, k, 6) for k in range(6)
    ]
    for epoch in range(2):
        expected = trained.dataset.train_batches(16, Stream("training", epoch), 3, skip=0)
        for batch, (found, *_) in zip(expected, steps[3 * epoch : 3 * epoch + 3], strict=True):
            assert torch.equal(batch.inputs, found.inputs)


@pytest.mark.parametrize(("update", "expected"), [("separate", True), ("conventional", False)])
def test_when_optimizers_step_is_as_the_recipe_says(trained, policy, update, expected, spec_of):
    training = {**TRAINING, "update": update}
    recipe = spec_of(retraining=training).retraining
    (found,) = OnePolicy(trained.parts.method, policy).passes(recipe, None, [])
    assert (found.bits, found.policy, found.update) == (None, policy, expected)


def test_the_result_is_the_trained_copy_and_the_same_again(trained, policy, spec_of, steps):
    first, second = (retrained(trained, policy, spec_of(retraining=TRAINING)) for _ in range(2))
    assert first is steps[0][4].model
    state = second.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())


def test_batch_norms_are_recalibrated_where_the_search_does_that(
    trained, policy, spec_of, tmp_path
):
    plain = after_retraining(trained, policy, spec_of(retraining=TRAINING), tmp_path)
    again = after_retraining(
        trained, policy, spec_of(retraining=TRAINING, recalibration=2), tmp_path
    )
    assert again.loss != plain.loss


def test_draws_depend_on_the_seed_and_the_step(trained, policy, spec_of, steps):
    for seed in (0, 0, 1):
        retrained(trained, policy, spec_of(retraining=TRAINING, seed=seed))
    drawn = [float(torch.rand((), generator=step_info.generator)) for _, _, step_info, *_ in steps]
    assert drawn[:6] == drawn[6:12]
    assert len(set(drawn)) == 12


def test_batches_larger_than_the_data_are_refused(trained, policy, spec_of):
    with pytest.raises(SpecError, match=r"retraining.batch_size 64 .* Use 48 or less"):
        retrained(
            trained,
            policy,
            spec_of(
                retraining={
                    "epochs": 1,
                    "batch_size": 64,
                    "learning_rate": 5e-4,
                    "weight_decay": 5e-5,
                }
            ),
        )


def test_a_method_that_fails_is_named(trained, policy, spec_of, monkeypatch):
    def fail(context):
        raise KeyError("bits")

    monkeypatch.setattr(trained.parts.method, "loss", fail)
    with pytest.raises(PluginError, match="method 'double-rounding' fails: KeyError"):
        retrained(trained, policy, spec_of(retraining=TRAINING))


def test_the_trained_network_can_be_loaded_again(trained, run, execution, policy, spec_of):
    retrained(trained, policy, spec_of(retraining=TRAINING))
    again = load_trained(run, execution.runs, execution.data, execution.device, "a test")
    state = again.model.state_dict()
    assert all(torch.equal(v, state[name]) for name, v in trained.model.state_dict().items())
