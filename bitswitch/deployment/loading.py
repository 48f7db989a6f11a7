"""Read a deployed model; every tensor is checked against the network that the file names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from bitswitch.conversion import with_fused_parts, without_fast_path
from bitswitch.deployment import container
from bitswitch.deployment.description import (
    CODES,
    INPUT_SCALE,
    INPUT_ZERO_POINT,
    MULTIPLIER,
    NORM_KINDS,
    SCALE,
    SHIFT,
    ZERO_POINT,
    Description,
    LayerFacts,
)
from bitswitch.deployment.layers import FoldedBatchNorm, IntegerConv2d, IntegerLinear
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.packing import BYTE, unpack
from bitswitch.deployment.skeleton import Skeleton
from bitswitch.deployment.stored import Scales
from bitswitch.errors import ArtifactError


def load(
    path: Path | str, device: torch.device | str = "cpu", keep_narrow: bool = False
) -> IntegerModel:
    """Return the model in ``path``, at its widest bit-width.

    The network is built by the installed plugin that the file names, without its weights.

    Args:
        path: As ``bitswitch export`` wrote it.
        device: Of all tensors.
        keep_narrow: See ``IntegerModel``.

    Raises:
        ArtifactError: the file is missing, damaged, of a newer version, or contradicts itself.
    """
    path = Path(path)
    return assembled(*container.read(path), path, device, keep_narrow)


def assembled(
    content: Any,
    tensors: Mapping[str, Tensor],
    path: Path,
    device: torch.device | str = "cpu",
    keep_narrow: bool = False,
) -> IntegerModel:
    """Return the model that a description and tensors make.

    Args:
        content: The description, JSON-like, from anywhere.
        tensors: By name, from anywhere.
        path: For messages.
        device: As in ``load``.
        keep_narrow: As in ``load``.

    Raises:
        ArtifactError: they contradict each other, or hold what they must not.
    """
    try:
        facts = Description.model_validate(content)
        skeleton = Skeleton.of(facts)
        skeleton.check(tensors)
        net, scales = _filled(skeleton, tensors)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise ArtifactError(
            path, f"its description is wrong at '{place}': {problem['msg']}"
        ) from None
    except ValueError as error:
        raise ArtifactError(path, str(error)) from None
    on_device = {name: part.to(device) for name, part in scales.items()}
    return IntegerModel(net.to(device).eval(), facts, on_device, keep_narrow)


def _filled(
    skeleton: Skeleton, tensors: Mapping[str, Tensor]
) -> tuple[nn.Module, dict[str, Scales]]:
    """Return the network with integers in it, and the scales of its layers.

    Raises:
        ValueError: a tensor holds what it must not.
    """
    net, scales = skeleton.net, {}
    without_fast_path(net)
    for facts in skeleton.facts.layers:
        layer = skeleton.layers[facts.name]
        scales[facts.name] = _scales(facts, tensors)
        codes = _codes(facts, layer.weight.shape, tensors[f"{facts.name}.{CODES}"])
        made = IntegerConv2d if isinstance(layer, nn.Conv2d) else IntegerLinear
        bias = tensors.get(f"{facts.name}.bias")
        skeleton.put(facts.name, made(layer, facts.name, codes, bias))  # type: ignore[arg-type]
    for norm in skeleton.facts.norms:
        multiplier = _finite(f"{norm.name}.{MULTIPLIER}", tensors)
        shift = _finite(f"{norm.name}.{SHIFT}", tensors)
        keys = NORM_KINDS[norm.kind].keys(skeleton.facts.bitset)
        folded = FoldedBatchNorm(norm.name, keys, multiplier, shift)
        place = skeleton.places[norm.name]
        skeleton.put(place, with_fused_parts(skeleton.norms[norm.name], folded))
    floats = {name: tensors[name] for name in skeleton.floats}
    for name, values in floats.items():
        if values.isnan().any():
            raise ValueError(f"tensor '{name}' has values that are not numbers")
    net.load_state_dict(floats, strict=False, assign=True)
    skeleton.restore_unsaved()
    return net, scales


def _codes(facts: LayerFacts, shape: torch.Size, stored: Tensor) -> Tensor:
    """Return the stored codes, int8, in the shape of the weight."""
    bits = facts.widths[0]
    if bits == BYTE:
        return stored
    try:
        return unpack(stored, bits, shape.numel()).view(shape)
    except ValueError as error:
        raise ValueError(f"codes of layer '{facts.name}': {error}") from None


def _scales(facts: LayerFacts, tensors: Mapping[str, Tensor]) -> Scales:
    weight = _positive(f"{facts.name}.{SCALE}", tensors)
    if facts.signed is None or facts.input_granularity == "per-token":
        return Scales(weight, _optional(f"{facts.name}.{ZERO_POINT}", tensors), None, None)
    return Scales(
        weight,
        _optional(f"{facts.name}.{ZERO_POINT}", tensors),
        _positive(f"{facts.name}.{INPUT_SCALE}", tensors),
        _optional(f"{facts.name}.{INPUT_ZERO_POINT}", tensors),
    )


def _optional(name: str, tensors: Mapping[str, Tensor]) -> Tensor | None:
    return _finite(name, tensors) if name in tensors else None


def _finite(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    if not tensors[name].isfinite().all():
        raise ValueError(f"tensor '{name}' has values that are not finite")
    return tensors[name]


def _positive(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    if not (_finite(name, tensors) > 0).all():
        raise ValueError(f"tensor '{name}' has scales that are not positive")
    return tensors[name]
