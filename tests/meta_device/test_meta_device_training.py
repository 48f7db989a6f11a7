from contextlib import suppress
from io import BytesIO

import pytest
import torch

from bitswitch.contracts.method import Method, StepInfo
from bitswitch.contracts.streams import Stream
from bitswitch.conversion import quantize
from bitswitch.errors import EncodingError
from bitswitch.nn.recalibration import recalibrate
from bitswitch.plugins import registry
from bitswitch.plugins.resolve import resolved
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import RunSpec
from bitswitch.testing.subject import TASK, Subject, network
from bitswitch.training.build import Parts, calibrate
from bitswitch.training.evaluation import evaluate
from bitswitch.training.step import queue_step, train_step
from tests.conftest import TINY
from tests.recipes import CONVENTIONAL, SEPARATE, in_turn

from .conftest import META, Uploads
from .learners import BITSETS, OPTIONS, learner_of, on_meta

METHODS = registry.names("methods")
FINISHING = [name for name in METHODS if registry.load("methods", name).finish is not Method.finish]
SCALE_STEPS = {
    "clipped": "sgd",
    "normalized": "sgd",
    "lars": "sgd",
    "lamb": "adam",
    "relative": "adam",
}


def step_info(step=0, steps=40):
    return StepInfo(4 * step // steps, 4, step, steps, generator("test", step))


WAITING = {"coquant", "rfquant", "vertical-layer"}
"""Whose passes or updates follow from numbers of those before."""


class Data:
    """Two batches."""

    def batches(self, split, size):
        return map(on_meta, range(2))


@pytest.mark.parametrize(("turn", "name"), enumerate(METHODS))
def test_meta_device_waits_for_what_the_next_update_needs_and_once_per_bit_width(turn, name, host):
    """Different methods take different recipes."""
    train_state = learner_of(name, in_turn(turn))
    model = train_state.model
    host.since()
    steps = (0, 20) if name in ("coquant", "rfquant") else (0,)  # schedules have begun at 20
    # Where predictions are remembered: which images these are, and what was said of them.
    remembered = 0 if train_state.distillation.memory is None else 2
    for step in steps:
        results = train_step(train_state, on_meta(step), 1e-3, step_info(step))
        assert host.since() <= len(results) + bool(train_state.scales) + remembered
    if name not in WAITING:
        found = []
        for step in range(2):
            queue_step(train_state, on_meta(step), 1e-3, step_info(step), found.append)
        assert (host.since(), found) == (2 * remembered, [])
        train_state.unread.read()
        assert (host.since(), len(found)) == (1, 2)
    assert set(evaluate(model, TASK, Data(), "test", lambda: None)) == set(model.bitset)
    assert host.since() == len(model.bitset)
    recalibrate(model, lambda: [on_meta().inputs])
    assert host.since() == 0
    take_up(train_state)
    model.train()
    batch = on_meta()
    with Uploads() as sent:
        train_step(train_state, batch, 1e-3, step_info(step))
    chosen = name == "rfquant"  # a few times in a run: which layers go without a bit-width
    assert sent.count <= bool(remembered) + chosen
    check_codes(model)


def take_up(train_state):
    """Load what a checkpoint has of the state."""
    sums = [one.state_dict() for one in train_state.gradients.values()]
    parts = (train_state.model, train_state.optimizers)
    buffer = BytesIO()
    torch.save([[part.state_dict() for part in parts], sums], buffer)
    buffer.seek(0)
    states, sums = torch.load(buffer, weights_only=True)
    for part, state in zip(parts, states, strict=True):
        part.load_state_dict(state)
    for gradients, state in zip(train_state.gradients.values(), sums, strict=True):
        gradients.load_state_dict(state)


def check_codes(model):
    """Encode what every layer multiplies, where it has codes."""
    for bits in model.bitset:
        with model.at(bits):
            for layer in model.quantized_layers.values():
                with suppress(EncodingError):
                    codes = layer.weight_quantizer.encode(layer.weight, layer.weight_switch.width)
                    assert {x.device for x in codes if isinstance(x, torch.Tensor)} == {META}


def check_waits_once(train_state, host):
    """Take two steps that wait for nothing, and read both at once."""
    host.since()
    found = []
    for step in range(2):
        queue_step(train_state, on_meta(step), 1e-3, step_info(step), found.append)
    assert (host.since(), found) == (0, [])
    train_state.unread.read()
    assert (host.since(), len(found)) == (1, 2)


@pytest.mark.parametrize("rule", SCALE_STEPS)
def test_meta_device_moves_scales_by_every_rule(rule, host):
    recipe = {**SEPARATE, "scale_step": rule, "scale_optimizer": SCALE_STEPS[rule]}
    check_waits_once(learner_of("lsq", (recipe,)), host)


@pytest.mark.parametrize("variant", ["relative", "clamped", "literal", "factor-only"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-4},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "adam"},
        {"optimizer": "adamw", "scale_optimizer": "sgd", "record_scale_gradients": True},
    ],
)
def test_meta_device_scales_learning_rates_without_waiting(recipe, variant, host):
    alrs = {"variant": variant, "target": "scales+weights"}
    recipe = {**SEPARATE, **recipe, "alrs": alrs}
    check_waits_once(learner_of("double-rounding", (recipe,)), host)


@pytest.mark.parametrize("recipe", [SEPARATE, CONVENTIONAL])
def test_meta_device_takes_a_batch_in_parts_and_computes_blocks_again(recipe, host):
    recipe = {**recipe, "accumulate": 2, "clip_norm": 1.0, "clip_value": 1.0}
    train_state = learner_of("double-rounding", (recipe,), blocks=("3", "6"))
    host.since()
    results = train_step(train_state, on_meta(), 1e-3, step_info())
    assert host.since() <= len(results) + 1


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("name", FINISHING)
def test_meta_device_finishes(name):
    train_state = learner_of(name)
    train_state.method.finish(train_state.model, lambda: map(on_meta, range(1)))


@pytest.mark.parametrize("name", METHODS)
def test_meta_device_quantizes_a_network_that_is_there_already(name):
    model = quantize(network().to(META), Subject.of(name, OPTIONS.get(name), *BITSETS).method())
    if name != "float32":
        model.calibrate([on_meta().inputs])
    model(on_meta().inputs)


def test_meta_device_summarises_gradients_of_scales(host):
    train_state = learner_of("double-rounding", (SEPARATE,))
    train_step(train_state, on_meta(), 1e-3, step_info())
    host.since()
    assert len(train_state.gradients) == len(train_state.model.bitset)
    for gradients in train_state.gradients.values():
        assert set(gradients.summary()["weight"]) == set(train_state.model.quantized_layers)
    assert host.since() == len(train_state.gradients)


@pytest.mark.parametrize("method", ["float32", "double-rounding"])
def test_meta_device_runs_what_a_run_is_made_of(method, tiny_data):
    spec = resolved(
        RunSpec.model_validate(
            {
                "method": method,
                "model": "resnet8",
                "dataset": TINY,
                "bitset": (32,) if method == "float32" else (4, 2),
                "seed": 0,
                "training": {
                    "epochs": 2,
                    "batch_size": 16,
                    "learning_rate": 5e-4,
                    "weight_decay": 5e-5,
                    "distillation": "ps-kd",
                },
            }
        )
    )
    parts = Parts.of(spec)
    dataset = parts.open(tiny_data, META)
    model = parts.quantized(parts.float_net(), META)
    calibrate(model, spec, dataset)
    train_state = parts.train_state(model.train(), dataset.size("train"))
    for some in dataset.train_batches(16, Stream("training"), 0, skip=1):
        train_step(train_state, some, 1e-3, step_info())
    evaluate(model, TASK, dataset, "held_out", lambda: None)
