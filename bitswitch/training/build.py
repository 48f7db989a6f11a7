"""Put a run together: the model is built, loaded, quantized and calibrated."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from bitswitch.contracts.data import Batch, Dataset, Model, OpenDataset
from bitswitch.contracts.method import Method
from bitswitch.contracts.streams import Stream
from bitswitch.contracts.task import rows_of
from bitswitch.conversion import quantize
from bitswitch.errors import CheckpointError, Diverged, SpecError
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.recompute import checkpoint_blocks
from bitswitch.plugins import registry
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results.result import read_result
from bitswitch.runtime.allocator import keep_freed_memory
from bitswitch.runtime.randomness import generator, seeded
from bitswitch.runtime.ranks import ALONE, Ranks
from bitswitch.spec.run import RunSpec
from bitswitch.training import checkpoint, predictions
from bitswitch.training.distillation import Distillation
from bitswitch.training.pretrained import check_pretrained
from bitswitch.training.state import TrainState

CALIBRATION_BATCHES = 4


@dataclass(frozen=True)
class Parts:
    """The plugins of one run."""

    spec: RunSpec
    method: Method
    model: Model
    dataset: Dataset

    @classmethod
    def of(cls, spec: RunSpec) -> Self:
        """Return the plugins that ``spec`` names.

        Raises:
            PluginError: one cannot be made.
        """
        method, model, dataset = spec.method, spec.model, spec.dataset
        with plugin_errors(f"method '{method.name}'", "__init__()"):
            made_method = registry.create("methods", method.name, method.options, spec.bitset)
        with plugin_errors(f"model '{model.name}'", "__init__()"):
            made_model = registry.create("models", model.name, model.options)
        with plugin_errors(f"dataset '{dataset.name}'", "__init__()"):
            made_dataset = registry.create("datasets", dataset.name, dataset.options)
        made_method.task = made_dataset.task
        return cls(spec, made_method, made_model, made_dataset)

    @property
    def modules(self) -> list[str]:
        """Names of the modules they, and the task of the dataset, come from."""
        parts = (self.method, self.model, self.dataset, self.dataset.task)
        return [type(part).__module__ for part in parts]

    def open(self, data: Path, device: torch.device) -> OpenDataset:
        """Return the dataset below ``data``, ready for ``device``."""
        with plugin_errors(f"dataset '{self.spec.dataset.name}'", "open()"):
            return self.dataset.open(data, device)

    def data_facts(self, data: Path) -> dict[str, str]:
        """Return what provenance says of the dataset below ``data``."""
        with plugin_errors(f"dataset '{self.spec.dataset.name}'", "provenance()"):
            return self.dataset.provenance(data)

    def example(self, count: int) -> Batch:
        """Return so many made-up examples, always the same."""
        with plugin_errors(f"dataset '{self.spec.dataset.name}'", "example()"):
            return self.dataset.example(count, generator("example"))

    def float_net(self) -> nn.Module:
        """Return the network as its plugin initialises it."""
        with plugin_errors(f"model '{self.spec.model.name}'", "build()"):
            return self.model.build(self.dataset.outputs, self.spec.seed)

    def float_inputs(self, net: nn.Module) -> Sequence[str]:
        """Return which layers of ``net`` have inputs that are never quantized."""
        named = self.spec.float_inputs
        return self.model.float_inputs(net) if named is None else named

    def quantized(self, net: nn.Module, device: torch.device) -> QuantizedModel:
        """Return ``net`` at the bit-widths of the run on ``device``.

        What its quantizers draw follows from the seed of the run. Channels come last in memory,
        which convolutions prefer on every device; on a processor, freed memory is kept for the next
        pass; the model is compiled if the recipe says so.
        """
        if device.type == "cpu":
            keep_freed_memory()
        blocks = self._recomputed(net)
        with (
            plugin_errors(f"method '{self.spec.method.name}'", "quantization"),
            seeded("quantization", self.spec.seed),
        ):
            model = quantize(
                net,
                self.method,
                keep=self.spec.keep,
                float_inputs=self.float_inputs(net),
                ends=self.model.first_last(net),
                example=self.example(2).inputs,
                order=self.model.order(net),
            )
            self.method.on_quantized(model, self.dataset.outputs)
        model.cut_batches(self.spec.training.accumulate)
        checkpoint_blocks(model.net, blocks)
        model.to(device)._apply(_channels_last)  # type: ignore[no-untyped-call]
        if self.spec.training.compile:
            model.compile()
        return model

    def _recomputed(self, net: nn.Module) -> Sequence[str]:
        """Return which modules of ``net`` keep nothing but what they read.

        Raises:
            SpecError: the recipe asks for that, and the model has no blocks.
        """
        if not self.spec.training.checkpoint_activations:
            return ()
        blocks = self.model.recomputable(net)
        if not blocks:
            raise SpecError(
                f"training.checkpoint_activations: model '{self.spec.model.name}' names no blocks "
                f"that could be computed again.\n  Leave it out, or train in parts: accumulate."
            )
        return blocks

    def train_state(
        self,
        model: QuantizedModel,
        examples: int,
        folder: Path | None = None,
        ranks: Ranks = ALONE,
    ) -> TrainState:
        """Return what trains ``model`` on a training split of so many ``examples``.

        Args:
            model: On its device.
            examples: How many.
            folder: For files that training needs; None: it keeps all in memory.
            ranks: Of the run.

        Raises:
            SpecError: the recipe makes soft targets of classes, and examples have no class each.
        """
        training = self.spec.training
        if training.label_smoothing:
            self._require_classes("training.label_smoothing")
        if training.distillation == "ps-kd":
            self._require_classes("training.distillation 'ps-kd'")
        path = None if folder is None else folder / predictions.NAME
        memory = Distillation(training, examples, self.dataset.outputs, path, ranks)
        return TrainState.of(self.method, model, training, memory, ranks)

    def _require_classes(self, who: str) -> None:
        """Refuse soft targets where an example does not have one class.

        Args:
            who: Needs them, for the message.

        Raises:
            SpecError: the task does not classify, or its targets are no class indices [n].
        """
        rows_of(self.dataset.task, who)
        shape = tuple(self.example(2).targets.shape)
        if shape != (2,):
            raise SpecError(
                f"{who} needs one class per example; two examples of '{self.spec.dataset.name}' "
                f"have targets of shape {shape}. Leave it out."
            )


def _channels_last(values: Tensor) -> Tensor:
    """Return ``values`` with channels last in memory if they may be those of a convolution.

    ``Module.to`` does the same, but refuses tables of more axes: a copy for each bit-width.
    """
    return values.to(memory_format=torch.channels_last) if values.dim() == 4 else values


def load_float(net: nn.Module, start: RunSpec, folder: Path) -> None:
    """Load the weights of the full-precision run ``start`` in ``folder`` into ``net``.

    Raises:
        CheckpointError: its checkpoint is missing, damaged, or does not fit.
    """
    state = checkpoint.load(folder / checkpoint.NAME, start.run_id)["model"]
    bare = {name.removeprefix("net."): value for name, value in state.items()}
    _load(net, bare, start, folder)


def inherit(model: QuantizedModel, parts: Parts, start: RunSpec, folder: Path) -> None:
    """Load the network of ``start``, trained at several bit-widths, into the one of a run.

    Args:
        model: Of the run.
        parts: Its plugins.
        start: The run that it starts from.
        folder: Of ``start``.

    Raises:
        CheckpointError: its checkpoint is missing, damaged, or does not fit.
    """
    state = checkpoint.load(folder / checkpoint.NAME, start.run_id)["model"]
    with plugin_errors(f"method '{parts.spec.method.name}'", "convert_state_dict()"):
        state = parts.method.convert_state_dict(state)
    _load(model, state, start, folder)


def _load(net: nn.Module, state: dict[str, Tensor], start: RunSpec, folder: Path) -> None:
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder / checkpoint.NAME} does not fit model '{start.model.name}': {error}\n"
            f"  Has the model changed since? Delete {folder} and train it again."
        ) from error


def calibrate(model: QuantizedModel, spec: RunSpec, dataset: OpenDataset) -> None:
    """Initialise activation scales, if there are any, from a few shuffled training batches.

    They are augmented: that is what the layers will see in training. A network that was trained at
    several bit-widths before has its scales already.
    """
    if spec.is_float or (spec.start is not None and not spec.start.is_float):
        return
    size = spec.training.batch_size
    batches = dataset.train_batches(size, Stream("calibration"), spec.seed, skip=0)
    with plugin_errors(
        f"method '{spec.method.name}' on dataset '{spec.dataset.name}'", "calibration"
    ):
        model.calibrate(batch.inputs for batch in islice(batches, CALIBRATION_BATCHES))


def start_model(
    parts: Parts, runs: Path, dataset: OpenDataset, device: torch.device
) -> QuantizedModel:
    """Return the model of a run before its first step.

    Args:
        parts: Plugins of the run.
        runs: Folder of all run directories.
        dataset: Open on ``device``.
        device: Of the model.

    Raises:
        CheckpointError: the run that it starts from is not finished, or does not fit.
        Diverged: there is nothing to start from.
        WeightsError: the published weights that it starts from guess.
    """
    net, start = parts.float_net(), parts.spec.start
    folder = None if start is None else finished(start, runs, parts.spec.run_id)
    if start is not None and folder is not None and start.is_float:
        load_float(net, start, folder)
    if start is None and parts.model.pretrained and not parts.spec.is_float:
        task, outputs = parts.dataset.task, parts.dataset.outputs
        check_pretrained(net, parts.spec, task, outputs, dataset, device)
    model = parts.quantized(net, device)
    if start is not None and folder is not None and not start.is_float:
        inherit(model, parts, start, folder)
    calibrate(model, parts.spec, dataset)
    return model


def finished(run: RunSpec, runs: Path, by: str) -> Path:
    """Return the directory of ``run``.

    Args:
        run: Whose network is needed.
        runs: Folder of all run directories.
        by: Who needs it.

    Raises:
        CheckpointError: it is not there, or not finished.
        Diverged: it has no network worth going on with.
    """
    folder = runs / run.run_id
    if not (folder / "result.json").exists():
        raise CheckpointError(
            f"{by} starts from the run '{run.run_id}', which is not finished in {runs}.\n"
            f"  Train that one first: bitswitch train SUITE {folder.name}"
        )
    found = read_result(folder)
    if found["status"] == "diverged":
        raise Diverged(f"its start {folder.name} diverged: {found['diagnosis']}")
    return folder
