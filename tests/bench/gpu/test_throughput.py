"""Which steps are measured in which order, and that measuring one works."""

import pytest
import torch

from bitswitch.bench.gpu import learning, throughput
from bitswitch.bench.gpu.kernels import CPU
from bitswitch.bench.gpu.setting import LeftOut, Setting
from bitswitch.bench.gpu.throughput import Wanted, still
from bitswitch.planning import gpu_model
from bitswitch.planning.networks import unweighted
from bitswitch.suite.suite import load_suite, suite_path
from tests.results.test_device_bench import PASSES


@pytest.fixture(scope="module")
def order():
    return throughput.in_order(("smoke",))


def test_every_kind_of_step_is_measured_once(order):
    names = [throughput._key(one.run) for one in order]
    assert len(set(names)) == len(names)


def test_networks_come_first(order):
    ends = [(one.run.model.name, one.run.dataset.name, one.run.is_float) for one in order]
    count = len(set(ends))
    assert len(set(ends[:count])) == count
    assert all(one.weight > 0 for one in order[:count])


def test_shorter_operands_and_compiled_steps_are_among_them(order):
    assert {one.run.training.precision for one in order} == {"float32", *throughput.SHORTER}
    compiled = [one for one in order if one.run.training.compile]
    assert {one.kind for one in compiled} == {"compiled"}
    assert compiled[0].name.endswith("float32, compiled")
    assert len({one.run.model.identifier for one in compiled}) > 1


class Meter:
    """Counts six joules at every reading."""

    def read(self):
        return 6.0


def test_a_step_is_measured(monkeypatch):
    monkeypatch.setattr(throughput, "LEAST_S", 0.0)
    wanted = Wanted(still(learning.small_run("double-rounding", (8, 4))), 1.0)
    found = throughput.measured(wanted, Setting.lasting(CPU, 60), Meter())
    assert (found.model, found.dataset, found.method) == ("resnet8", "digits", "double-rounding")
    assert (found.passes, found.batch_size, found.precision, found.compile) == (
        2,
        32,
        "float32",
        False,
    )
    assert found.step_s > 0
    assert found.peak_memory_mib > 0
    assert found.energy_j == 6.0 / throughput.LEAST_STEPS


def test_plans_know_the_network_again(order):
    suite = load_suite(suite_path("smoke"))
    runs = {
        (run.model.name, repr(unweighted(run).model.options)): run for run in suite.runs.values()
    }
    for one in order:
        model = one.run.model
        found = PASSES.model_copy(update={"model": model.name, "model_options": model.options})
        assert gpu_model._same_model(found, runs[model.name, repr(model.options)])


def test_too_little_memory_is_left_out(monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much.")

    monkeypatch.setattr(throughput, "_measured", fail)
    wanted = Wanted(still(learning.small_run("lsq", (8,))), 1.0)
    found = throughput.measured(wanted, Setting.lasting(CPU, 60), None)
    assert found == LeftOut(text="resnet8, lsq, batch 32, float32: CUDA out of memory")
