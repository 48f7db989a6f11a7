import pytest

from bitswitch import plugins
from bitswitch.checks.subject import CLASSES, IMAGES, Subject, batch, network, quantized
from bitswitch.contracts import Batch, Method, Moment
from bitswitch.nn.model import quantize
from bitswitch.nn.recalibration import recalibrate
from bitswitch.randomness import generator
from bitswitch.spec import RunSpec
from bitswitch.training.build import Parts, calibrate
from bitswitch.training.distillation import Distillation
from bitswitch.training.evaluation import evaluate
from bitswitch.training.step import Learner, train_step
from tests.conftest import TINY

from .conftest import META

BITSETS = ((4, 2), (4,), (32,))
OPTIONS = {
    "eq-net": {"channel_candidates": 5},
    "kure": {"iterations": 0},
    "l1-regularization": {"iterations": 0},
}
METHODS = plugins.names("methods")
CONVENTIONAL = {"update": "conventional", "alrs": {"reading": "off"}}
SEPARATE = {"update": "separate", "alrs": {"reading": "relative"}}
RECIPES = (
    {**SEPARATE, "distillation": "neighbour"},
    {**CONVENTIONAL, "distillation": "ps-kd", "clip_value": 1.0},
    {**SEPARATE, "label_smoothing": 0.1, "optimizer": "sgd"},
    CONVENTIONAL,
)
FINISHING = [
    name
    for name in METHODS
    # ptmq draws its random numbers on the device, which meta cannot.
    if plugins.load("methods", name).finish is not Method.finish and name != "ptmq"
]


def on_meta(number=0):
    return Batch(*(part.to(META) for part in batch(number)))


def learner_of(name, recipes=RECIPES[-1:]):
    """Return a learner as a run makes it, on the meta device, with the first recipe it accepts."""
    subject = Subject.of(name, OPTIONS.get(name), *BITSETS)
    fields = subject.spec.model_dump(exclude={"training"})
    kept = subject.training.model_dump()
    specs = [RunSpec.model_validate({**fields, "training": kept | one}) for one in recipes]
    training = next(spec for spec in specs if plugins.refusal(spec) is None).training
    method = subject.method()
    model = quantized(method).to(META)
    if name != "float32":
        model.calibrate([on_meta().images])
    memory = Distillation(training, IMAGES, CLASSES)
    return Learner.of(method, model.train(), training, memory)


def moment(step=0, steps=40):
    return Moment(4 * step // steps, 4, step, steps, generator("test", step))


class Data:
    """Two batches."""

    def batches(self, split, size):
        return map(on_meta, range(2))


@pytest.mark.parametrize(("turn", "name"), enumerate(METHODS))
def test_meta_device_waits_once_per_pass_and_once_for_the_scales_and_bit_widths(turn, name, host):
    """Different methods take different recipes."""
    first = turn % len(RECIPES)
    learner = learner_of(name, RECIPES[first:] + RECIPES[:first])
    model = learner.model
    host.since()
    steps = (0, 20) if name in ("coquant", "rfquant") else (0,)  # schedules have begun at 20
    for step in steps:
        outcomes = train_step(learner, on_meta(step), 1e-3, moment(step))
        # Where predictions are remembered: which images these are, and what was said of them.
        remembered = 0 if learner.distillation.memory is None else 2
        assert host.since() <= len(outcomes) + bool(learner.scales) + remembered
    assert set(evaluate(model, Data(), "test", lambda: None)) == set(model.bitset)
    assert host.since() == len(model.bitset)
    recalibrate(model, lambda: [on_meta().images])
    assert host.since() == 0
    model.load_state_dict(model.state_dict())


@pytest.mark.parametrize("name", FINISHING)
def test_meta_device_finishes(name):
    learner = learner_of(name)
    learner.method.finish(learner.model, lambda: map(on_meta, range(1)))


@pytest.mark.parametrize("name", METHODS)
def test_meta_device_quantizes_a_network_that_is_there_already(name):
    model = quantize(network().to(META), Subject.of(name, OPTIONS.get(name), *BITSETS).method())
    if name != "float32":
        model.calibrate([on_meta().images])
    model(on_meta().images)


def test_meta_device_summarises_gradients_of_scales(host):
    learner = learner_of("double-rounding")
    train_step(learner, on_meta(), 1e-3, moment())
    host.since()
    for gradients in learner.gradients.values():
        assert set(gradients.summary()["weight"]) == set(learner.model.quantized_layers)
    assert host.since() == len(learner.gradients)


@pytest.mark.parametrize("method", ["float32", "double-rounding"])
def test_meta_device_runs_what_a_run_is_made_of(method, tiny_data):
    spec = RunSpec.model_validate(
        {
            "method": method,
            "model": "resnet8",
            "dataset": TINY,
            "bitset": (32,) if method == "float32" else (4, 2),
            "seed": 0,
            "training": {"epochs": 2, "batch_size": 16, "distillation": "ps-kd"},
        }
    ).resolved()
    parts = Parts.of(spec)
    dataset = parts.open(tiny_data, META)
    model = parts.quantized(parts.float_net(), META)
    calibrate(model, spec, dataset)
    learner = parts.learner(model.train(), dataset.size("train"))
    for some in dataset.train_batches(16, 0, 0, skip=1):
        train_step(learner, some, 1e-3, moment())
    evaluate(model, dataset, "held_out", lambda: None)
