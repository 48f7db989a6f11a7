"""Render scanned handwriting as small colour images, the same in every run.

All random numbers are drawn on grids that do not depend on the image size, so image i of a split
shows the same scene at 16x16 and at 40x40 pixels.
"""

from math import pi
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from bitswitch.runtime.randomness import generator

RENDERING = 1
"""Raised when the same arguments give other pixels, so that no older file stands for them."""

CLASSES = 10
SPLITS = ("train", "held_out", "test")
SHARES = (0.65, 0.1, 0.25)
"""Share of the scans that each split is rendered from."""


class Rendered(NamedTuple):
    """Images of one split."""

    images: Tensor
    """uint8 [n, size, size, 3]."""
    targets: Tensor
    """int64 [n], digits; image i shows digit i mod 10."""
    sources: Tensor
    """int64 [n, 2], the scans that each image shows: its digit's and its distractor's."""


def scans() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's handwritten digits: float32 [1797, 8, 8] in 0..1, and their labels.

    Source: alpaydin1998optical.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    return torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)


def split_sources(labels: Tensor) -> dict[str, list[Tensor]]:
    """Return, per split and digit, the scans to render from: disjoint, in a fixed random order."""
    draw = generator("digits", "sources")
    split: dict[str, list[Tensor]] = {name: [] for name in SPLITS}
    for digit in range(CLASSES):
        members = (labels == digit).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=draw)]
        first = round(SHARES[0] * len(members))
        second = first + round(SHARES[1] * len(members))
        for name, part in zip(SPLITS, members.tensor_split((first, second)), strict=True):
            split[name].append(part)
    return split


def render(split: str, count: int, size: int, difficulty: float) -> Rendered:
    """Return ``count`` images of ``split``.

    Args:
        split: One of ``SPLITS``; decides the scans and the random numbers.
        count: Number of images.
        size: Height and width in pixels.
        difficulty: Strength of jitter, texture and distractor: 1 is usual, 0 leaves plain digits.
    """
    images, labels = scans()
    pools = split_sources(labels)[split]
    draw = generator("digits", split)
    targets = torch.arange(count) % CLASSES
    sources = torch.empty(count, 2, dtype=torch.int64)
    for digit, pool in enumerate(pools):
        chosen = targets == digit
        sources[chosen, 0] = pool[torch.arange(int(chosen.sum())) % len(pool)]
    everything = torch.cat(pools)
    sources[:, 1] = everything[torch.randint(len(everything), (count,), generator=draw)]
    digit_ink = _warp(images[sources[:, 0]], size, _jitter(count, difficulty, draw))
    other_ink = _warp(images[sources[:, 1]], size, _aside(count, draw))
    ink = torch.maximum(digit_ink, DISTRACTOR * difficulty * other_ink)
    pixels = _paint(ink, difficulty, draw).clamp(0, 1) * 255
    return Rendered(
        pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous(), targets, sources
    )


DISTRACTOR = 0.5
"""Opacity of the distractor at difficulty 1."""
TURN, SHEAR, SHIFT = pi / 15, 0.15, 0.15
"""Largest rotation (radians), shear, and shift (half image sizes) at difficulty 1."""
ZOOM = (1.0, 1.3)
"""Image size over digit size."""
TEXTURE = (0.05, 0.15)
"""Standard deviation of the background."""
GRAIN = (4, 16)
"""Cells per side of the coarse and the fine layer of the texture."""
CONTRAST = (0.8, 1.0)
"""Difference between ink and paper where the texture is flat."""


def _uniform(low: float, high: float, count: int, draw: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=draw)


def _jitter(count: int, difficulty: float, draw: torch.Generator) -> Tensor:
    """Return affine maps [n, 2, 3] from image to scan coordinates, both -1..1."""
    turn, shear, x, y = (
        difficulty * _uniform(-limit, limit, count, draw) for limit in (TURN, SHEAR, SHIFT, SHIFT)
    )
    zoom = _uniform(*ZOOM, count, draw)
    rotation = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], 1).view(-1, 2, 2)
    slant = torch.eye(2).repeat(count, 1, 1)
    slant[:, 0, 1] = shear
    linear = zoom[:, None, None] * (slant @ rotation)
    return torch.cat([linear, -linear @ torch.stack([x, y], 1)[:, :, None]], 2)


def _aside(count: int, draw: torch.Generator) -> Tensor:
    """Return affine maps [n, 2, 3] that put a scan, at half its size, across the image's border."""
    angle = _uniform(-pi, pi, count, draw)
    linear = (2.0 * torch.eye(2)).repeat(count, 1, 1)
    centre = 0.9 * torch.stack([angle.cos(), angle.sin()], 1)
    return torch.cat([linear, -linear @ centre[:, :, None]], 2)


def _warp(images: Tensor, size: int, maps: Tensor) -> Tensor:
    """Return ``images`` [n, 8, 8] seen through ``maps`` [n, 2, 3]: [n, 1, size, size]."""
    grid = functional.affine_grid(maps, [len(images), 1, size, size], align_corners=False)
    return functional.grid_sample(images[:, None], grid, align_corners=False)


def _paint(ink: Tensor, difficulty: float, draw: torch.Generator) -> Tensor:
    """Return colour images [n, 3, size, size] of ``ink`` [n, 1, size, size] on textured paper."""
    count, size = len(ink), ink.shape[-1]
    grids = (torch.randn(count, 3, cells, cells, generator=draw) for cells in GRAIN)
    layers = [functional.interpolate(grid, (size, size), mode="bilinear") for grid in grids]
    texture = torch.stack(layers).sum(0)
    texture = texture / texture.std((1, 2, 3), keepdim=True)
    strength = difficulty * _uniform(*TEXTURE, count, draw)
    contrast = _uniform(*CONTRAST, count, draw)
    dark = (1 - contrast)[:, None] * torch.rand(count, 3, generator=draw)
    light = dark + contrast[:, None]
    tint = 1 - 0.3 * torch.rand(count, 3, generator=draw)
    swap = (torch.rand(count, 1, generator=draw) < 0.5).expand(-1, 3)
    paper, pen = torch.where(swap, light * tint, dark), torch.where(swap, dark, light * tint)
    flat = torch.lerp(paper[:, :, None, None], pen[:, :, None, None], ink)
    return flat + strength[:, None, None, None] * texture
