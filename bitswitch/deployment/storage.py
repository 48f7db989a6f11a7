"""What a network takes: bytes in full precision, as one model per bit-width, as one file."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from bitswitch.deployment.description import (
    CODES,
    MULTIPLIER,
    NORM_KINDS,
    SCALE,
    SHIFT,
    ZERO_POINT,
)
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.packing import packed_size
from bitswitch.quant.integer import signed_range
from bitswitch.results.deployments import Storage


def forms(
    file: Path, tensors: Mapping[str, Tensor], model: IntegerModel, net: nn.Module
) -> list[Storage]:
    """Return the bytes of all forms of one network.

    Args:
        file: The exported one.
        tensors: In ``file``.
        model: Loaded from ``file``; left at its widest bit-width.
        net: At full precision, not quantized.
    """
    names = [layer.name for layer in model.facts.layers]
    stored = [
        _full_precision(net, names),
        *(_separate(model, tensors, bits) for bits in model.bitset),
        _whole(file, names, tensors),
    ]
    if size := _embedding_and_head(net, names):
        stored = [form.model_copy(update={"embedding_and_head": size}) for form in stored]
    return stored + _in_memory(model)


def _embedding_and_head(net: nn.Module, names: list[str]) -> int:
    """Return the bytes of embeddings and float linear layers; 0 of a network without embeddings."""
    modules = dict(net.named_modules())
    if not any(isinstance(module, nn.Embedding) for module in modules.values()):
        return 0
    return sum(
        _bytes(module.weight)
        for name, module in modules.items()
        if isinstance(module, nn.Embedding | nn.Linear) and name not in names
    )


def _full_precision(net: nn.Module, names: list[str]) -> Storage:
    """Return the float network, without what only training needs."""
    sizes = {name: _bytes(value) for name, value in net.state_dict().items()}
    weights = sum(sizes[f"{name}.weight"] for name in names)
    return Storage(form="fp32", bits=None, quantized=weights, rest=sum(sizes.values()) - weights)


def _separate(model: IntegerModel, tensors: Mapping[str, Tensor], bits: int) -> Storage:
    """Return a model of ``bits`` alone: its codes side by side, one copy of every batch norm.

    A code that does not fit in ``bits`` takes a bit more; what would say which do is not counted.
    """
    facts = model.facts
    layers = {layer.name: layer for layer in facts.layers}
    codes = {name: part.codes for name, part in model.snapshot(bits).layers.items()}
    norms = {norm.name: len(NORM_KINDS[norm.kind].keys(facts.bitset)) for norm in facts.norms}
    quantized = rest = beyond = 0
    for name, values in tensors.items():
        owner, part = _owner(name)
        if owner not in layers or part == "bias":
            rest += _bytes(values) // (norms[owner] if part in (MULTIPLIER, SHIFT) else 1)
        elif part == CODES:
            pinned = layers[owner].pinned
            width = pinned[0] if pinned else bits
            quantized += packed_size(codes[owner].numel(), width)
            beyond += int((codes[owner] > signed_range(width)[1]).sum())
        else:  # scales and zero points: one row per bit-width, or one for all
            one_for_all = part in (SCALE, ZERO_POINT) and len(values) == 1
            quantized += _bytes(values) // (1 if one_for_all else len(layers[owner].widths))
    found = Storage(form="separate", bits=bits, quantized=quantized + -(-beyond // 8), rest=rest)
    if not beyond:
        return found
    share = beyond / sum(values.numel() for values in codes.values())
    return found.model_copy(update={"beyond": share})


def _whole(file: Path, names: list[str], tensors: Mapping[str, Tensor]) -> Storage:
    """Return the file; its description counts as rest."""
    sizes = {name: _bytes(value) for name, value in tensors.items()}
    owned = [key for key in sizes if _owner(key)[0] in names and _owner(key)[1] != "bias"]
    quantized = sum(sizes[key] for key in owned)
    rest = file.stat().st_size - quantized
    return Storage(form="file", bits=None, quantized=quantized, rest=rest)


def _in_memory(model: IntegerModel) -> list[Storage]:
    """Return the loaded model at every bit-width."""
    found = []
    for bits in model.bitset:
        model.switch(bits)
        held = model.storage()
        quantized = held.codes + held.narrow + held.scales
        found.append(Storage(form="memory", bits=bits, quantized=quantized, rest=held.rest))
    model.switch(model.bitset[0])
    return found


def _owner(name: str) -> tuple[str, str]:
    """Return the module that a tensor belongs to, and what it is there."""
    for part in ("weight", "input"):
        owner, dot, last = name.rpartition(f".{part}.")
        if dot:
            return owner, f"{part}.{last}"
    owner, _, last = name.rpartition(".")
    return owner, last


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
