"""How many GPUs share a run: a matter of the machine, by network, and of no run's identity."""

import pytest

from bitswitch.errors import SpecError
from bitswitch.suite.gpus import per_run
from bitswitch.suite.suite import load_suite, suite_path


@pytest.fixture(scope="module")
def suite():
    return load_suite(suite_path("smoke"))


def test_one_number_is_for_all_networks_but_not_for_methods_that_look_at_whole_batches(suite):
    found = per_run(suite, 4)
    assert found.keys() == suite.runs.keys()
    alone = {suite.runs[run].method.name for run, count in found.items() if count == 1}
    assert alone == {"l1-regularization"}
    assert set(found.values()) == {1, 4}


def test_networks_have_numbers_of_their_own_which_may_be_text(suite):
    found = per_run(suite, {"resnet50": 8, "resnet18": "2"})
    by_model = {suite.runs[run].model.name: count for run, count in found.items() if count > 1}
    assert by_model == {"resnet50": 8, "resnet18": 2}
    assert set(per_run(suite, 1).values()) == {1}


def test_another_network_is_one_message(suite):
    with pytest.raises(SpecError, match=r"has no network 'resnet5'.*Did you mean 'resnet50'"):
        per_run(suite, {"resnet5": 8})
