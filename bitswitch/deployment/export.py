"""Write the network of a run as integers: what is stored determines every bit-width."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bitswitch import plugins
from bitswitch.deployment import container
from bitswitch.deployment.description import (
    CODES,
    INPUT_OFFSET,
    INPUT_SCALE,
    MULTIPLIER,
    OFFSET,
    SCALE,
    SHIFT,
    Description,
    LayerFacts,
    NormFacts,
)
from bitswitch.deployment.folding import folded_norms
from bitswitch.deployment.grids import input_grids, weight_grids
from bitswitch.deployment.loading import load
from bitswitch.deployment.packing import BYTE, pack
from bitswitch.errors import EncodingError
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.records import write_bytes
from bitswitch.spec import Choice, RunSpec
from bitswitch.training.trained import eager_parts, trained_model
from bitswitch.types import FLOAT_BITS


class Artifact(NamedTuple):
    """What a file holds."""

    facts: Description
    tensors: dict[str, Tensor]

    def encoded(self) -> bytes:
        """Return the content of the file; the same network gives the same bytes."""
        return container.encoded(self.tensors, self.facts.model_dump(mode="json"))


def export(run: RunSpec, runs: Path, file: Path) -> None:
    """Write the network of the finished ``run`` to ``file``, then read it back as a check.

    Args:
        run: Resolved.
        runs: Folder of all run directories.
        file: Is replaced at once or not at all.

    Raises:
        EncodingError: the method needs float weights, or its quantizers are not understood.
        CheckpointError: the run is not finished, or its checkpoint is damaged.
        Diverged: the run has no network.
        ArtifactError: the file would not be the network.
    """
    refuse_floats(run)
    parts = eager_parts(run)
    model = trained_model(run, parts, runs, torch.device("cpu"), by="export")
    content = artifact_of(model, run, parts.dataset.classes, parts.dataset.shape()).encoded()
    write_bytes(file, content)
    load(file)


def refuse_floats(run: RunSpec) -> None:
    """Raise unless integers are all that the method of ``run`` needs.

    Raises:
        EncodingError: its card says otherwise.
    """
    method = run.method.name
    if plugins.card(method)["storage"] == "codes":
        return
    able = [n for n in plugins.names("methods") if plugins.card(n)["storage"] == "codes"]
    raise EncodingError(
        f"{run.run_id} cannot be exported: method '{method}' needs float32 weights to run at every "
        f"bit-width, says its card.\n  Integers are enough for: {', '.join(able)}"
    )


@torch.no_grad()
def artifact_of(
    model: QuantizedModel, run: RunSpec, classes: int, image: Sequence[int]
) -> Artifact:
    """Return the description and tensors of ``model``, which is on the CPU.

    Args:
        model: Trained.
        run: What it is.
        classes: Number of outputs.
        image: (channels, height, width) of an image.

    Raises:
        EncodingError: codes do not follow from the widest ones, or an input's grid is not even.
    """
    tensors: dict[str, Tensor] = {}
    layers = [_layer(name, layer, tensors) for name, layer in model.quantized_layers.items()]
    norms = []
    for name, folded in folded_norms(model.net, model.bitset).items():
        norms.append(NormFacts(name=name, kind=folded.kind))
        tensors |= {f"{name}.{MULTIPLIER}": folded.multiplier, f"{name}.{SHIFT}": folded.shift}
    replaced = [*model.quantized_layers, *(norm.name for norm in norms)]
    tensors |= _floats(model.net, replaced)
    options = {k: v for k, v in run.model.options.items() if k != "weights"}
    facts = Description.model_validate(
        {
            "run": run.run_id,
            "method": run.method,
            "model": Choice(name=run.model.name, options=options),
            "dataset": run.dataset,
            "classes": classes,
            "image": tuple(image),
            "bitset": model.bitset,
            "layers": layers,
            "norms": norms,
        }
    )
    return Artifact(facts, tensors)


def _layer(name: str, layer: QuantizedLayer, tensors: dict[str, Tensor]) -> LayerFacts:
    """Put what belongs to one quantized layer into ``tensors``; return its facts."""
    if layer._forward_hooks or layer._forward_pre_hooks:
        raise EncodingError(
            f"Layer '{name}' cannot be exported: its method changes what it computes, by a hook."
        )
    bitset = layer.weight_switch.bitset
    weights = weight_grids(name, layer, bitset)
    stored = weights.codes if bitset[0] == BYTE else pack(weights.codes, bitset[0])
    tensors |= {f"{name}.{CODES}": stored, f"{name}.{SCALE}": weights.scale}
    if weights.offset is not None:
        tensors[f"{name}.{OFFSET}"] = weights.offset
    signed = None
    if layer.pinned is None or layer.pinned[1] != FLOAT_BITS:
        inputs = input_grids(name, layer.activation_quantizer, bitset)
        tensors[f"{name}.{INPUT_SCALE}"] = inputs.scale
        if inputs.offset is not None:
            tensors[f"{name}.{INPUT_OFFSET}"] = inputs.offset
        signed = inputs.signed
    return LayerFacts(
        name=name, widths=bitset, pinned=layer.pinned, rounding=weights.rounding, signed=signed
    )


def _floats(net: nn.Module, replaced: Sequence[str]) -> Mapping[str, Tensor]:
    """Return the tensors of ``net`` that stay as they are: biases, and layers that stay float."""
    inside = tuple(f"{name}." for name in replaced)
    biases = {f"{name}.bias" for name, m in net.named_modules() if isinstance(m, QuantizedLayer)}
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in net.state_dict().items()
        if isinstance(value, Tensor) and (name in biases or not name.startswith(inside or ("\0",)))
    }
