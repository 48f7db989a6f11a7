"""One deployment from its first file to its last: export, parity, storage, rounding errors."""

from collections.abc import Iterator
from typing import Any

from bitswitch.deployment import container
from bitswitch.deployment.export import export
from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx import parity
from bitswitch.deployment.storage import forms
from bitswitch.deployment.verification.parity import BATCH_SIZE, compare
from bitswitch.deployment.verification.rounding_error import rounding_errors
from bitswitch.deployment.verification.switching import switch_times
from bitswitch.errors import EncodingError
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
        self.switch_s: dict[int, float] = {}

    def deploy(self) -> None:
        """Export the network, and compare it with training."""
        run, execution, file = self.run, self.execution, self.folder / MODEL
        export(run, execution.runs, file)
        trained = load_trained(run, execution.runs, execution.data, execution.device, "deploy")
        self.identify(self.facts(trained.parts.modules))
        with self.clock.phase("evaluate"):
            model = load(file, execution.device)
            self.parity = list(_parity(trained, model))
            tensors = container.read(file)[1]
            self.storage = forms(file, tensors, model, trained.parts.float_net())
            self.switch_s = switch_times(model, execution.device)
            self.rounding = rounding_errors(trained.model)

    def write(self) -> tuple[str, ...]:
        write_lines(self.folder / PARITY, self.parity)
        write_lines(self.folder / STORAGE, self.storage)
        write_lines(self.folder / ROUNDING, self.rounding)
        return PARITY, STORAGE, ROUNDING

    def result(self) -> DeploymentResult:
        time_s = self.clock.read()["evaluate"]
        return DeploymentResult(
            run_id=self.run.run_id, time_s=time_s, switch_s=self.switch_s, **self.ending()
        )


def run_deployment(run: RunSpec, execution: Execution, began: Instant) -> None:
    """Write the integer model of ``run`` and what it is found to be; see ``stages.deploy``."""
    with DeploymentJob(run, execution, began) as job:
        job.deploy()


def _parity(trained: Trained, model: IntegerModel) -> Iterator[Parity]:
    """Yield one line per bit-width, on the whole test split."""
    possible = max((bound.by_codes for bound in model.bounds().values()), default=0)
    for bits in model.bitset:
        batches = trained.dataset.batches("test", BATCH_SIZE)
        found = compare(trained.model, model, batches, bits, trained.parts.dataset.task)
        yield Parity(
            bits=bits,
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
            **_by_onnxruntime(trained, model, bits),
            **({} if found.predictions == found.images else {"predictions": found.predictions}),
        )


def _by_onnxruntime(trained: Trained, model: IntegerModel, bits: int) -> dict[str, Any]:
    """Return how far onnxruntime agrees with ``model``, or why it does not run it."""
    batches = trained.dataset.batches("test", BATCH_SIZE)
    try:
        found = parity.compare(model, batches, bits, trained.parts.dataset.task)
    except EncodingError as error:
        return {"no_onnx": str(error)}
    return {
        "headline_onnx": found.headline_onnxruntime,
        "onnx_difference": found.largest_difference,
        "onnx_differing": found.differing,
        "onnx_integer_kernels": found.kernels.integer,
        "onnx_float_kernels": found.kernels.floating,
    }
