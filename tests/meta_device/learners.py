"""Learners and batches as a run makes them, on the meta device."""

from bitswitch.contracts.data import Batch
from bitswitch.nn.recompute import checkpoint_blocks
from bitswitch.runtime.ranks import ALONE
from bitswitch.testing.subject import IMAGES, PICTURES, Subject, quantized
from bitswitch.training.distillation import Distillation
from bitswitch.training.state import TrainState
from tests.recipes import RECIPES, first_accepted

from .conftest import META

BITSETS = ((4, 2), (4,), (32,))
OPTIONS = {
    "eq-net": {"channel_candidates": 5},
    "kure": {"iterations": 0},
    "l1-regularization": {"iterations": 0},
    "ptmq": {"iterations": 1, "images": 4},
    "quept": {"epochs": 1, "images": 4, "rank": 1},
}


def on_meta(number=0, material=PICTURES):
    return Batch(*(part.to(META) for part in material.batch(number)))


def learner_of(name, recipes=RECIPES[-1:], material=PICTURES, ranks=ALONE, blocks=()):
    """Return a learner as a run makes it, on the meta device, with the first recipe it accepts."""
    subject = Subject.of(name, OPTIONS.get(name), *BITSETS, material=material)
    training = first_accepted(subject.spec, recipes)
    method = subject.method()
    model = quantized(method)
    model.cut_batches(training.accumulate)
    checkpoint_blocks(model.net, blocks)
    model.to(META)
    if name != "float32":
        model.calibrate([on_meta(material=material).inputs])
    memory = Distillation(training, IMAGES, material.outputs, ranks=ranks)
    return TrainState.of(method, model.train(), training, memory, ranks)
