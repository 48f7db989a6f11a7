"""Decoders of tokens, trained and asked on the meta device."""

import pytest
import torch

from bitswitch.contracts.method import Method
from bitswitch.deployment.generation import CachedReader, drawn, generated
from bitswitch.harness.likelihood import Pair, likelihoods
from bitswitch.plugins import registry
from bitswitch.testing.subject import TEXTS, step_info
from bitswitch.training.evaluation import evaluate
from bitswitch.training.step import train_step
from tests.contract.test_methods_on_text import REFUSED
from tests.recipes import CONVENTIONAL, RECIPES

from .conftest import META, Uploads
from .learners import learner_of, on_meta

QUICK = ("float32", "double-rounding")
"""Methods for which this is tried every time: the others run the same code on other layers."""
METHODS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
    for name in registry.names("methods")
    if name not in REFUSED
]
BLOCKS = ("model.layers.0", "model.layers.1")
ROOM = 6


class Texts:
    """Two batches."""

    def batches(self, split, size):
        return (on_meta(number, TEXTS) for number in range(2))


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("name", METHODS)
def test_meta_device_trains_a_decoder(name, host):
    recipes = ({**CONVENTIONAL, "accumulate": 2}, *RECIPES)
    train_state = learner_of(name, recipes, TEXTS, blocks=BLOCKS)
    model = train_state.model
    host.since()
    results = train_step(train_state, on_meta(0, TEXTS), 1e-3, step_info())
    assert host.since() <= len(results) + bool(train_state.scales)
    assert set(evaluate(model, TEXTS.task, Texts(), "test", lambda: None)) == set(model.bitset)
    assert host.since() == len(model.bitset)
    if type(train_state.method).finish is not Method.finish:
        train_state.method.finish(model, lambda: Texts().batches("train", 16))


@pytest.fixture
def model(host):
    made = learner_of("double-rounding", material=TEXTS).model.eval()
    host.since()
    return made


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_meta_device_continues_a_text_and_waits_once_per_token(model, host, cached, temperature):
    reader = CachedReader(model.net, model.net, META, cached)
    prompt = torch.tensor([1, 2, 3])
    with torch.no_grad():
        tokens = list(generated(reader, prompt, 3, [4], drawn(temperature, seed=0)))
    assert len(tokens) == host.since() == 3


def test_meta_device_says_how_probable_texts_are_once_per_batch(model, host):
    pairs = [Pair([1, 2, 3], [4]), Pair([0], [1, 2]), Pair([6, 5], [0, 1, 2])]
    with Uploads() as sent:
        assert len(likelihoods(pairs, model.net, ROOM, 2, META)) == len(pairs)
    assert (host.since(), sent.count) == (2, 4)  # a batch reads windows, and what is asked for
