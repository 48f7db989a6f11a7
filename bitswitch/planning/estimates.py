"""What one training run, sensitivity, search or deployment takes: steps, time, disk; needs no data.

Time comes from one measured training step per kind of run, on made-up examples, and is
remembered in ``.cache``. Where a batch is too big for the processor, a step at full precision on a
few examples is measured instead, and counted once for every example and bit-width. Where that is
too big still, its operations are counted, at the rate of a product of matrices.
"""

import platform
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, Protocol

from bitswitch.contracts.card import ExamplePasses, Workload
from bitswitch.planning.devices import Mode
from bitswitch.planning.gpu_model import GpuModel
from bitswitch.planning.memory import training_bytes
from bitswitch.planning.networks import dataset_facts, network_size, unweighted
from bitswitch.planning.pass_work import RECOMPUTED
from bitswitch.plugins import facts
from bitswitch.runtime.cache import code_state, digest, remembered
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.types import FLOAT_BITS

MEASURED_ELEMENTS = 3 * 2**17
"""On the processor, a step is measured at no more than this many elements of inputs."""
MEASURED_FLOPS = 2e12
"""On the processor, no step of more operations is measured: about a minute of one core."""
PROBE_LEARNING_RATE = 1e-12
RECIPE = {"optimizer", "update", "compile", "precision", "accumulate", "checkpoint_activations"}
"""Keys of a recipe that the time of a step depends on."""
FORWARD_SHARE = 1 / 3
"""Of a training pass, for one image in evaluation."""
EXACT_FORWARDS = 2.0
"""Forward passes in float32 that one with exact sums of integers takes, in float64."""
START_TIME_S = 1.5
"""Of a job, until its first step."""
STATE_COPIES = 3
"""Copies of the parameters in a checkpoint: themselves and two moments of Adam."""
PREDICTIONS = 2
"""Of every training image, with a number of each, in float32, while PS-KD trains."""
RECORDS_BYTES = 2**20
"""Of everything else in a run directory."""
GPU_FLOPS = 20e12
"""Assumed sustained arithmetic rate of one GPU in training, per second. It gives ResNet-18 and -50
on ImageNet the V100 hours of huang2025nearly, Table 5, within a tenth."""
GPU_FLOPS_16 = 150e12
"""The same for training that multiplies in 16 bits: half of what one A100 is built for. No
published hours of bit switching say more."""
GPU_PASS_S = 0.01
"""Assumed least time of one forward and backward pass on a GPU, whatever the network; gives
ResNet-20 on CIFAR-10 the hours of the same table."""


class Cost(NamedTuple):
    """What one run takes."""

    steps: int
    """Training steps; one may hold several passes."""
    time_s: float
    """On the measured device, alone."""
    gpu_time_s: float
    disk_bytes: int
    memory_bytes: int = 0
    """Of the training run that takes most, at least; see ``bitswitch.planning.memory``."""

    def __add__(self, other: object) -> "Cost":
        """Return the cost of both runs."""
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(
            self.steps + other.steps,
            self.time_s + other.time_s,
            self.gpu_time_s + other.gpu_time_s,
            self.disk_bytes + other.disk_bytes,
            max(self.memory_bytes, other.memory_bytes),
        )


class PassTimes(NamedTuple):
    """Seconds of one forward and backward pass over a batch, at one bit-width."""

    plain: float
    """In float32, as outside of training."""
    trained: float
    """As the recipe says."""


class Clock(Protocol):
    """Knows how long passes take."""

    def times(self, run: RunSpec) -> tuple[PassTimes, PassTimes]:
        """Return those of ``run`` where it is planned for, and on a GPU."""
        raise NotImplementedError

    def passes(self, run: RunSpec) -> float:
        """Return the passes of one training step of ``run``."""
        return _passes(run)


@dataclass(frozen=True)
class Here(Clock):
    """Measures on a device of this machine; of a GPU that is not here, a rough rate is assumed."""

    device: str
    """As of ``bitswitch.runtime.devices.resolve``."""
    gpu: bool
    """Whether it is one."""

    def times(self, run: RunSpec) -> tuple[PassTimes, PassTimes]:
        """Return what is measured, once per kind of run."""
        measured = _pass_time(run, self.device, self.gpu)
        here = PassTimes(measured, measured)
        if self.gpu:
            return here, here
        flops = network_size(run)["train_flops"] * run.training.batch_size
        rate = GPU_FLOPS_16 if run.training.precision == "bfloat16" else GPU_FLOPS
        plain, trained = flops / GPU_FLOPS, _again(run) * flops / rate
        return here, PassTimes(max(GPU_PASS_S, plain), max(GPU_PASS_S, trained))


@dataclass(frozen=True)
class Assumed(Clock):
    """Asks a model of a GPU."""

    model: GpuModel
    captured: bool | None = None
    """None: as the recipe says."""
    runs: int = 1
    """That share the GPU."""

    def times(self, run: RunSpec) -> tuple[PassTimes, PassTimes]:
        """Return what the model says."""
        captured = run.training.compile if self.captured is None else self.captured
        mode = Mode(captured, self.runs)
        found = PassTimes(
            *(self.model.pass_time(run, mode, trained).time_s for trained in (False, True))
        )
        return found, found


def estimate(run: RunSpec, clock: Clock) -> Cost:
    """Return what ``run`` takes, its training in the precision of its recipe."""
    sizes, cost = dataset_facts(run)["sizes"], estimate_training(run, clock)
    disk = network_size(run)["parameters"] * 4 * STATE_COPIES + RECORDS_BYTES
    if run.training.distillation == "ps-kd":
        disk += sizes["train"] * PREDICTIONS * 4 * (dataset_facts(run)["outputs"] + 1)
    return cost._replace(disk_bytes=disk, memory_bytes=training_bytes(run))


def estimate_training(run: RunSpec, clock: Clock) -> Cost:
    """Return the steps and times of ``run``, what its method does after training included."""
    sizes = dataset_facts(run)["sizes"]
    epochs = run.training.epochs if facts.trains(run) else 0
    steps = epochs * (sizes["train"] // run.training.batch_size)
    trained = steps * run.training.batch_size * clock.passes(run) if steps else 0.0
    evaluated = (epochs * sizes["held_out"] + sizes["test"]) * len(run.bitset)
    after = _in_trained(facts.finish_work(run, _extent(run)))
    cost = _in_passes(run, evaluated * FORWARD_SHARE + after, clock, trained)
    return cost._replace(steps=steps)


def estimate_sensitivity(spec: SensitivitySpec, clock: Clock) -> Cost:
    """Return what a sensitivity takes: its passes over the examples that it sees."""
    about = dataset_facts(spec.run)
    examples = min(spec.examples, about["sizes"]["train"])
    work = facts.scoring_work(spec.sensitivity, examples, about["outputs"])
    return _in_passes(spec.run, _in_trained(work), clock)


def estimate_search(spec: SearchSpec, clock: Clock) -> Cost:
    """Return what a search takes: what it trains, evaluations, tests and retraining.

    Its scores, and a network that is trained for them, are jobs of their own.
    """
    sizes, search = dataset_facts(spec.run)["sizes"], spec.search
    evaluates = facts.search_facts(search.name, search.options)["evaluates"]
    # Held-out examples; test examples, also at one bit-width for all layers and after retraining.
    evaluations, tests = spec.evaluations * evaluates, 4 if spec.retraining else 3
    evaluated = evaluations * min(spec.examples, sizes["held_out"])
    evaluated += sizes["held_out"] + (tests - 1) * sizes["test"]
    evaluated += (evaluations + tests) * spec.recalibration * spec.run.training.batch_size
    retrained = spec.retraining.epochs * sizes["train"] if spec.retraining else 0
    own = _in_trained(facts.search_work(spec.search, _extent(spec.run), spec.evaluations))
    examples = len(spec.budgets) * (evaluated * FORWARD_SHARE + retrained + own)
    return _in_passes(spec.run, examples, clock)


def estimate_deployment(run: RunSpec, clock: Clock) -> Cost:
    """Return what exporting ``run`` and comparing it with training takes: tests at all widths."""
    examples = dataset_facts(run)["sizes"]["test"] * len(run.bitset) * (1 + EXACT_FORWARDS)
    return _in_passes(run, examples * FORWARD_SHARE, clock)


def _in_passes(run: RunSpec, examples: float, clock: Clock, trained: float = 0.0) -> Cost:
    """Return what forward and backward passes over so many examples take, one bit-width each.

    Args:
        run: Whose network passes.
        examples: In float32.
        clock: Knows how long a pass takes.
        trained: More of them, as the recipe of ``run`` says.
    """
    here, gpu = (
        START_TIME_S + (examples * one.plain + trained * one.trained) / run.training.batch_size
        for one in clock.times(run)
    )
    return Cost(0, here, gpu, RECORDS_BYTES)


def _again(run: RunSpec) -> float:
    """Return the operations of a trained example for one that keeps all activations."""
    return RECOMPUTED if run.training.checkpoint_activations else 1.0


def _in_trained(work: ExamplePasses) -> float:
    """Return how many trained examples take as long."""
    return work.trained + FORWARD_SHARE * work.forward


def _extent(run: RunSpec) -> Workload:
    examples = dataset_facts(run)["sizes"]["train"]
    return Workload(network_size(run)["layers"], examples, run.training.batch_size)


def data_bytes(dataset: Choice) -> int:
    """Return the size of ``dataset`` in memory, images as uncompressed pixels."""
    found = facts.dataset_facts(dataset.name, dataset.options)
    return int(sum(found["sizes"].values()) * prod(found["shape"]))


def _passes(run: RunSpec) -> float:
    """Return the passes of one training step, counted once per recipe of a method."""
    if run.is_float:
        return 1.0
    about = {
        "method": run.method.model_dump(),
        "bitset": run.bitset,
        "guided": run.sensitivity is not None,
        "recipe": run.training.model_dump(exclude={"learning_rate", "batch_size"}),
    }

    def count() -> float:
        from bitswitch.planning.probe import passes_of

        return passes_of(run)

    passes: float = remembered("passes", digest(about, code_state("bitswitch")), count)
    return passes


def _pass_time(run: RunSpec, device: str, gpu: bool) -> float:
    """Return the time in seconds of one pass of ``run`` over a batch, measured once per kind."""
    if not gpu and is_counted(run):
        flops = network_size(run)["train_flops"] * run.training.batch_size
        return _again(run) * flops / _rate(device)
    small = _probed(run, gpu)
    kind = {
        "method": small.method.model_dump(),
        "model": small.model.model_dump(),
        "shape": dataset_facts(run)["shape"],
        "keep": small.keep,
        **({} if small.float_inputs is None else {"float_inputs": small.float_inputs}),
        "batch_size": small.training.batch_size,
        "passes": len(small.bitset),
        "recipe": small.training.model_dump(include=RECIPE),
        "distils": small.training.distillation != "none",
        "device": (platform.node(), device),
    }

    def measure() -> float:
        import torch

        from bitswitch.planning.probe import measure_step

        torch.set_num_threads(1)  # as the workflow trains
        return measure_step(small, device)

    step_s: float = remembered("steps", digest(kind, code_state("bitswitch")), measure)
    return step_s / _passes(small) * run.training.batch_size / small.training.batch_size


def _rate(device: str) -> float:
    """Return the operations per second of a product of matrices here, measured once."""

    def measure() -> float:
        import torch

        from bitswitch.planning.probe import measure_rate

        torch.set_num_threads(1)
        return measure_rate(device)

    key = digest("rate", platform.node(), device)
    rate: float = remembered("steps", key, measure)
    return rate


def is_counted(run: RunSpec) -> bool:
    """Return whether the processor would take too long for even a small step of ``run``."""
    examples = min(_fitting_batch(run), run.training.batch_size)
    return network_size(run)["train_flops"] * examples > MEASURED_FLOPS


def is_scaled(run: RunSpec) -> bool:
    """Return whether the processor measures a small full-precision step in place of ``run``'s."""
    return _fitting_batch(run) < run.training.batch_size and not is_counted(run)


def _fitting_batch(run: RunSpec) -> int:
    """Return the largest batch that the processor measures, two examples at least."""
    return max(2, MEASURED_ELEMENTS // int(prod(dataset_facts(run)["shape"])))


def _probed(run: RunSpec, gpu: bool) -> RunSpec:
    """Return what is measured: random weights that stay as they are; on noise, training diverges.

    Where that takes the processor long, it is a full-precision step on few examples.
    """
    training: dict[str, Any] = {"learning_rate": PROBE_LEARNING_RATE}
    changes: dict[str, Any] = {"model": unweighted(run).model, "start": None}
    if not gpu and is_scaled(run):
        training |= {"batch_size": _fitting_batch(run), "distillation": "none"}
        training |= {"update": "conventional", "alrs": None}
        changes |= {"method": Choice(name="float32"), "bitset": (FLOAT_BITS,), "sensitivity": None}
        changes |= {"keep": (), "float_inputs": None}
    changes["training"] = run.training.model_copy(update=training)
    return run.model_copy(update=changes)
