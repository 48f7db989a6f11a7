from dataclasses import replace

import pytest
import torch

from bitswitch.contracts.sensitivity import ScoringInput
from bitswitch.contracts.streams import Stream
from bitswitch.costs import Constraint, CostModel
from bitswitch.nn.shapes import layer_shapes
from bitswitch.plugins import registry
from bitswitch.plugins.resolve import resolved
from bitswitch.runtime.randomness import generator
from bitswitch.searches.dnas.hash_split import HashSplit
from bitswitch.spec.run import RunSpec
from bitswitch.spec.search import SearchSpec
from bitswitch.stages.policy_evaluation import batches_of, evaluate_policy
from bitswitch.stages.retraining import retrained
from bitswitch.training.build import Parts, calibrate
from bitswitch.training.trained import Trained
from bitswitch.types import FLOAT_BITS
from tests.conftest import TINY
from tests.searches.exact_problems import problem
from tests.searches.learning_problems import Formula

from .conftest import META

BITSET = (4, 2)
TRAINED = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
RUN = {"method": "limpq", "model": "resnet8", "dataset": TINY, "bitset": BITSET, "seed": 0}


@pytest.fixture
def trained(tiny_data):
    spec = resolved(RunSpec.model_validate({**RUN, "training": TRAINED}))
    parts = Parts.of(spec)
    dataset = parts.open(tiny_data, META)
    model = parts.quantized(parts.float_net(), META)
    calibrate(model, spec, dataset)
    return Trained(parts, model.eval(), dataset)


def test_meta_device_evaluates_a_policy_in_one_transfer(trained, host):
    host.since()
    policy = dict.fromkeys(trained.model.layers, (4, 2))
    images = batches_of(trained.dataset, "test", 15)

    def again():
        return (batch.inputs for batch in images())

    evaluate_policy(trained.model, trained.parts.dataset.task, policy, images, again)
    assert host.since() == 1


SCORES = {name: (name, {}) for name in registry.names("sensitivities")}
SCORES["hawq-v2-both"] = ("hawq-v2", {"operands": "both"})


@pytest.mark.parametrize("kind", SCORES)
def test_meta_device_scores(kind, trained):
    name, options = SCORES[kind]
    trained.model.switch(FLOAT_BITS)
    batches = batches_of(trained.dataset, "train", 4)
    subject = ScoringInput(
        trained.model, BITSET, batches, generator("test", 0), trained.parts.dataset.task
    )
    findings = registry.create("sensitivities", name, options).score(subject)
    assert {score.layer for score in findings.scores} == set(trained.model.layers)


TRAINING_SEARCHES = {
    "dnas-soft": {"epochs": 2, "warmup": 0.5},
    "dnas-hard": {"epochs": 2, "warmup": 0.5, "mixture": "hard"},
    "haq": {"fine_tune_steps": 1},
}


@pytest.mark.parametrize("kind", TRAINING_SEARCHES)
def test_meta_device_searches_that_train(kind, trained, monkeypatch):
    monkeypatch.setattr(HashSplit, "is_share", lambda self, indices: torch.arange(len(indices)) < 8)
    shapes = layer_shapes(trained.model, trained.parts.example(1).inputs)
    limit = Constraint("average-bits", 3)
    found = replace(
        problem(CostModel(shapes), limit, bitset=BITSET),
        model=trained.model,
        train_batches=lambda epoch: trained.dataset.train_batches(
            16, Stream("search", epoch), 0, skip=0
        ),
        evaluate=(formula := Formula([1.0] * len(trained.model.layers), 2)),
        remaining=formula.remaining,
        generator=generator("test", 0),
    )
    name = kind.partition("-")[0]
    assert registry.create("searches", name, TRAINING_SEARCHES[kind]).search(found)


def test_meta_device_retrains(trained, host):
    spec = resolved(
        SearchSpec.model_validate(
            {
                "search": "uniform",
                "run": {**RUN, "training": TRAINED},
                "budgets": [{"cost": "average-bits", "at_most": 3}],
                "retraining": TRAINED,
                "recalibration": 1,
            }
        )
    )
    retrained(trained, dict.fromkeys(trained.model.layers, (2, 2)), spec)
