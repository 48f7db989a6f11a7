"""The network that a run has left behind."""

from pathlib import Path
from typing import NamedTuple

import torch

from bitswitch.contracts.data import OpenDataset
from bitswitch.nn.model import QuantizedModel
from bitswitch.spec.run import RunSpec
from bitswitch.training import checkpoint
from bitswitch.training.build import Parts, finished, start_model


class Trained(NamedTuple):
    """A network and its data."""

    parts: Parts
    model: QuantizedModel
    """In evaluation mode, at its widest bit-width."""
    dataset: OpenDataset


def load_trained(
    run: RunSpec,
    runs: Path,
    data: Path,
    device: torch.device,
    by: str,
    epoch: int | None = None,
) -> Trained:
    """Return the network of a finished run; it is not compiled.

    Args:
        run: Resolved.
        runs: Folder of all run directories.
        data: Folder of the datasets.
        device: Of the model.
        by: Who needs it, for messages.
        epoch: After which epoch, one of its snapshots; 0: before the first step, which needs what
            the run starts from, not the run; None: trained.

    Raises:
        CheckpointError: the run is not finished, or its checkpoint is damaged.
        Diverged: the run has no network.
    """
    parts = eager_parts(run)
    dataset = parts.open(data, device)
    if epoch == 0:
        model = start_model(parts, runs, dataset, device)
    else:
        model = trained_model(run, parts, runs, device, by, epoch)
    return Trained(parts, model.eval(), dataset)


def eager_parts(run: RunSpec) -> Parts:
    """Return the plugins of ``run``, whose model will not be compiled."""
    eager = run.training.model_copy(update={"compile": False})
    return Parts.of(run.model_copy(update={"training": eager}))


def trained_model(
    run: RunSpec,
    parts: Parts,
    runs: Path,
    device: torch.device,
    by: str,
    epoch: int | None = None,
) -> QuantizedModel:
    """Return the network alone, in evaluation mode; its data is not needed.

    Args:
        run: As in ``load_trained``, as the next but one and those after it.
        parts: Its plugins.
        runs: Folder of all run directories.
        device: Of the model.
        by: Who needs it.
        epoch: One of its snapshots, not 0; None: trained.

    Raises:
        CheckpointError: the run is not finished, or its checkpoint is damaged.
        Diverged: the run has no network.
    """
    folder = finished(run, runs, by)
    name = checkpoint.NAME if epoch is None else checkpoint.snapshot_name(epoch)
    model = parts.quantized(parts.float_net(), device)
    model.load_state_dict(checkpoint.load(folder / name, run.run_id, device)["model"])
    return model.eval()
