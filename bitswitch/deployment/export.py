"""Write the network of a run as integers: what is stored determines every bit-width."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from bitswitch.contracts.method import Method
from bitswitch.deployment import container
from bitswitch.deployment.description import (
    CODES,
    INPUT_SCALE,
    INPUT_ZERO_POINT,
    MULTIPLIER,
    SCALE,
    SHIFT,
    ZERO_POINT,
    Description,
    LayerFacts,
    NormFacts,
)
from bitswitch.deployment.folding import folded_norms
from bitswitch.deployment.grids import input_grids, weight_grids
from bitswitch.deployment.loading import assembled
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.packing import BYTE, pack
from bitswitch.deployment.signature import Signature
from bitswitch.errors import EncodingError
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.order import Followed, by_names
from bitswitch.plugins import facts, registry
from bitswitch.quant.quantizer import Width
from bitswitch.results.files import write_bytes
from bitswitch.spec.run import Choice, RunSpec
from bitswitch.training.trained import eager_parts, trained_model
from bitswitch.types import FLOAT_BITS


class Artifact(NamedTuple):
    """What a file holds."""

    facts: Description
    tensors: dict[str, Tensor]

    @property
    def content(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What ``container.encoded`` takes, and ``container.read`` gives back."""
        return self.facts.model_dump(mode="json"), self.tensors


def export(run: RunSpec, runs: Path, file: Path) -> None:
    """Write the network of the finished ``run`` to ``file``, once all weights are checked.

    Args:
        run: Resolved.
        runs: Folder of all run directories.
        file: Is replaced at once or not at all.

    Raises:
        EncodingError: the method needs float weights, changes the network, or has quantizers or
            batch norms that a file cannot describe.
        CheckpointError: the run is not finished, or its checkpoint is damaged.
        Diverged: the run has no network.
        ArtifactError: the file would not be the network.
    """
    refuse(run)
    parts = eager_parts(run)
    model = trained_model(run, parts, runs, torch.device("cpu"), by="export")
    artifact = artifact_of(model, run, parts.dataset.outputs, parts.example(1).inputs)
    verify(assembled(*artifact.content, file), model)
    write_bytes(file, container.encoded(*artifact.content))


@torch.no_grad()
def verify(integers: IntegerModel, model: QuantizedModel) -> None:
    """Compare every weight at every bit-width with the one that training used.

    Raises:
        EncodingError: one is not the same, bit for bit.
    """
    for bits in integers.bitset:
        found = integers.snapshot(bits).layers
        for name, layer in model.quantized_layers.items():
            width = Width.of(found[name].bits[0], layer.weight_switch.bitset)
            apart = int((found[name].weight() != layer.weight_quantizer(layer.weight, width)).sum())
            if apart:
                raise EncodingError(
                    f"Layer '{name}' cannot be exported: at {bits} bits, {apart} of its weights "
                    f"would not be those of training.\n  Is encode() of its quantizer what "
                    f"forward() computes? `bitswitch plugins check NAME` compares them."
                )


def refuse(run: RunSpec) -> None:
    """Raise unless the method of ``run`` needs integers alone, in the network as it is.

    Raises:
        EncodingError: it needs more, or it changes the network.
    """
    if facts.is_deployable(run):
        return
    if not facts.gives_logits(run):
        raise EncodingError(
            f"{run.run_id} cannot be exported: files describe networks that make rows of logits, "
            f"and the task of dataset '{run.dataset.name}' has none.\n"
            f"  Its run can be trained, searched and reported: leave out deploy."
        )
    if facts.changes_network(run):
        reason = "changes the network itself, which a file cannot describe"
    elif facts.storage(run) == "tables":
        reason = "looks weights up in tables, whose values are no integers times a scale"
    else:
        reason = "as it was set needs float32 weights to run at every bit-width"
    raise EncodingError(
        f"{run.run_id} cannot be exported: method '{run.method.name}' {reason}.\n"
        f"  Integers are enough for: {', '.join(_able())}"
    )


def _able() -> list[str]:
    """Return the methods whose networks can be exported, with default options."""
    return [
        name
        for name in registry.names("methods")
        if facts.card(name)["storage"] == "codes"
        and cast(type[Method], registry.load("methods", name)).transform_float
        is Method.transform_float
    ]


@torch.no_grad()
def artifact_of(model: QuantizedModel, run: RunSpec, classes: int, inputs: Tensor) -> Artifact:
    """Return the description and tensors of ``model``, which is on the CPU.

    Args:
        model: Trained.
        run: What it is.
        classes: Number of outputs.
        inputs: One example or more, on the CPU; of any values.

    Raises:
        EncodingError: codes do not follow from the widest ones, or an input's grid is not even.
    """
    tensors: dict[str, Tensor] = {}
    layers = [_layer(name, layer, tensors) for name, layer in model.quantized_layers.items()]
    norms, follows = [], _follows(model)
    for name, folded in folded_norms(model.net, model.bitset).items():
        norms.append(NormFacts(name=name, kind=folded.kind, follows=follows.get(name)))
        tensors |= {f"{name}.{MULTIPLIER}": folded.multiplier, f"{name}.{SHIFT}": folded.shift}
    replaced = [*model.quantized_layers, *(norm.name for norm in norms)]
    tensors |= _floats(model.net, replaced)
    options = {k: v for k, v in run.model.options.items() if k != "weights"}
    with model.at(FLOAT_BITS):
        logits = model(inputs[:1])
    description = Description.model_validate(
        {
            "run": run.run_id,
            "method": run.method,
            "model": Choice(name=run.model.name, options=options),
            "dataset": run.dataset,
            "classes": classes,
            "input": Signature.of_inputs(inputs),
            "output": Signature.of_logits(logits.shape[1:]),
            "bitset": model.bitset,
            "layers": layers,
            "norms": norms,
        }
    )
    return Artifact(description, tensors)


def _follows(model: QuantizedModel) -> dict[str, Followed]:
    """Return what batch norms follow, where it is not what their place in the network says."""
    usual = by_names((name for name, _ in model.net.named_modules()), model.layers)
    return {name: one for name, one in model.followed.items() if one != usual[name]}


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
    if weights.zero_point is not None:
        tensors[f"{name}.{ZERO_POINT}"] = weights.zero_point
    signed, per_token = None, False
    if not stays_float(layer):
        inputs = input_grids(name, layer.activation_quantizer, bitset)
        if inputs.scale is not None:
            tensors[f"{name}.{INPUT_SCALE}"] = inputs.scale
        if inputs.zero_point is not None:
            tensors[f"{name}.{INPUT_ZERO_POINT}"] = inputs.zero_point
        signed, per_token = inputs.signed, inputs.scale is None
    return LayerFacts(
        name=name,
        widths=bitset,
        pinned=layer.pinned,
        rounding=weights.rounding,
        signed=signed,
        input_granularity="per-token" if per_token else "per-tensor",
    )


def stays_float(layer: QuantizedLayer) -> bool:
    """Return whether the input of ``layer`` is quantized at no bit-width."""
    pinned = layer.pinned is not None and layer.pinned[1] == FLOAT_BITS
    return pinned or layer.float_input


def _floats(net: nn.Module, replaced: Sequence[str]) -> Mapping[str, Tensor]:
    """Return the tensors of ``net`` that stay as they are: biases, and layers that stay float."""
    modules = dict(net.named_modules(remove_duplicate=False))
    parts = {modules[name] for name in replaced}
    inside = tuple(f"{name}." for name, module in modules.items() if module in parts)
    biases = {f"{name}.bias" for name, m in net.named_modules() if isinstance(m, QuantizedLayer)}
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in net.state_dict().items()
        if isinstance(value, Tensor) and (name in biases or not name.startswith(inside or ("\0",)))
    }
