"""Layers that form one block of a network, by their names."""

import re
from collections.abc import Iterable, Sequence

import torch


def block(layer: str) -> str:
    """Return the block that ``layer`` belongs to: its name up to the first numbers.

    >>> block("stages.1.0.conv2"), block("layer1.0.downsample.0"), block("head")
    ('stages.1.0', 'layer1.0', 'head')
    """
    found = re.match(r"(.*?\.)?\d+(\.\d+)*(?=\.|$)", layer)
    return found[0] if found else layer


def draw_blocks(layers: Sequence[str], chance: float, generator: torch.Generator) -> set[str]:
    """Return the layers of blocks that are drawn, each block with probability ``chance``."""
    blocks = list(dict.fromkeys(map(block, layers)))
    draws = torch.rand(len(blocks), generator=generator).tolist()
    drawn = {name for name, draw in zip(blocks, draws, strict=True) if draw < chance}
    return {layer for layer in layers if block(layer) in drawn}


def shortcut_leaders(layers: Iterable[str]) -> dict[str, str]:
    """Return the first layer of its block for every shortcut that has weights, by name.

    >>> shortcut_leaders(["layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0"])
    {'layer2.0.downsample.0': 'layer2.0.conv1'}
    """
    leaders: dict[str, str] = {}
    found = {}
    for layer in layers:
        leader = leaders.setdefault(block(layer), layer)
        if leader != layer and not {"shortcut", "downsample"}.isdisjoint(layer.split(".")):
            found[layer] = leader
    return found
