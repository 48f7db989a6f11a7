"""One deployment from its first file to its last: export, parity, storage, rounding errors."""

from collections.abc import Iterator
from typing import Any

from bitswitch.contracts.data import Batch
from bitswitch.deployment import container
from bitswitch.deployment.export import export
from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx import parity
from bitswitch.deployment.storage import forms
from bitswitch.deployment.verification.parity import BATCH_SIZE, Agreement, compare
from bitswitch.deployment.verification.rounding_error import rounding_errors
from bitswitch.deployment.verification.switching import switch_times
from bitswitch.errors import EncodingError
from bitswitch.results import correct
from bitswitch.results.correct import Correct
from bitswitch.results.deployments import (
    MODEL,
    PARITY,
    ROUNDING,
    STORAGE,
    DeploymentResult,
    Parity,
    Rounding,
    Storage,
)
from bitswitch.results.record import write_lines
from bitswitch.spec.run import RunSpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.job import Job
from bitswitch.stages.metrics import correct_lines
from bitswitch.training.clock import Instant
from bitswitch.training.trained import Trained, load_trained


class DeploymentJob(Job):
    """The integer model of one run and what it is found to be."""

    stage = "deploy"

    def __init__(self, run: RunSpec, execution: Execution, began: Instant) -> None:
        super().__init__(execution.deployments / run.run_id, None, execution, began)
        self.run = run
        self.parity: list[Parity] = []
        self.storage: list[Storage] = []
        self.rounding: list[Rounding] = []
        self.correct: list[Correct] = []
        self.switch_s: dict[int, float] = {}

    def deploy(self) -> None:
        """Export the network, and compare it with training."""
        run, execution, file = self.run, self.execution, self.folder / MODEL
        export(run, execution.runs, file)
        trained = load_trained(run, execution.runs, execution.data, execution.device, "deploy")
        parts = trained.parts
        self.identify(self.facts(parts.modules, parts.data_facts(execution.data)))
        with self.clock.phase("evaluate"):
            model = load(file, execution.device)
            self._compare(trained, model)
            tensors = container.read(file)[1]
            self.storage = forms(file, tensors, model, trained.parts.float_net())
            self.switch_s = switch_times(model, execution.device)
            self.rounding = rounding_errors(trained.model)

    def _compare(self, trained: Trained, model: IntegerModel) -> None:
        """Set ``model`` beside training at every bit-width, on the whole test split."""
        possible = max((bound.by_codes for bound in model.bounds().values()), default=0)
        task = trained.parts.dataset.task
        for bits in model.bitset:
            found = compare(trained.model, model, _test(trained), bits, task)
            self.correct += correct_lines(str(bits), found.integer, task, "_integer")
            runtime: parity.Runtime | str
            try:
                runtime = parity.compare(model, _test(trained), bits, task)
            except EncodingError as error:
                runtime = str(error)
            else:
                self.correct += correct_lines(str(bits), runtime.onnxruntime, task, "_onnx")
            self.parity.append(_parity(found, possible, runtime))

    def write(self) -> tuple[str, ...]:
        write_lines(self.folder / PARITY, self.parity)
        write_lines(self.folder / STORAGE, self.storage)
        write_lines(self.folder / ROUNDING, self.rounding)
        write_lines(self.folder / correct.NAME, self.correct)
        return PARITY, STORAGE, ROUNDING, correct.NAME

    def result(self) -> DeploymentResult:
        time_s = self.clock.read()["evaluate"]
        return DeploymentResult(
            run_id=self.run.run_id, time_s=time_s, switch_s=self.switch_s, **self.ending()
        )


def run_deployment(run: RunSpec, execution: Execution, began: Instant) -> None:
    """Write the integer model of ``run`` and what it is found to be; see ``stages.deploy``."""
    with DeploymentJob(run, execution, began) as job:
        job.deploy()


def _test(trained: Trained) -> Iterator[Batch]:
    return trained.dataset.batches("test", BATCH_SIZE)


def _parity(found: Agreement, possible: int, runtime: parity.Runtime | str) -> Parity:
    """Return the line of one bit-width.

    Args:
        found: On the whole test split.
        possible: The largest sum that the codes allow.
        runtime: How far onnxruntime agrees, or why it does not run the network.
    """
    return Parity(
        bits=found.policy,
        images=found.images,
        metric=found.metric,
        headline_trained=found.headline_trained,
        headline_integer=found.headline_integer,
        largest_difference=found.largest_difference,
        differing=found.differing,
        ties=found.ties,
        images_with_ties=found.images_with_ties,
        unexplained=found.unexplained,
        largest_sum=max(found.accumulators.values(), default=0),
        possible_sum=possible,
        **({"no_onnx": runtime} if isinstance(runtime, str) else _of_onnxruntime(runtime)),
        **({} if found.predictions == found.images else {"predictions": found.predictions}),
    )


def _of_onnxruntime(found: parity.Runtime) -> dict[str, Any]:
    return {
        "headline_onnx": found.headline_onnxruntime,
        "onnx_difference": found.largest_difference,
        "onnx_differing": found.differing,
        "onnx_integer_kernels": found.kernels.integer,
        "onnx_float_kernels": found.kernels.floating,
    }
