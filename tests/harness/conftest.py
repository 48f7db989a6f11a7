from typing import NamedTuple

import pytest

from bitswitch import stages
from bitswitch.harness.decoder import trained
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec
from tests.deployment import decoders


class Asked(NamedTuple):
    """What lm-eval hands a network."""

    args: tuple


@pytest.fixture(scope="session")
def text_run(tmp_path_factory):
    """Return a decoder's run of a few steps, and the folder of its results."""
    results, data = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("data")
    fields = decoders.run_of().model_dump(mode="json")
    fields["dataset"]["options"]["epoch_windows"] = 64
    run = resolved(RunSpec.model_validate(fields))
    stages.prepare(run.dataset, data)
    stages.train(run, results, data, "cpu")
    return run, results


@pytest.fixture(scope="session")
def decoder(text_run):
    run, results = text_run
    return trained(run, results / "runs", "cpu")
