"""Codes of layers side by side in memory: one operation narrows many of them."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

from bitswitch.deployment.narrowing import narrow
from bitswitch.deployment.stored import StoredLayer


class Neighbours:
    """The stored codes of layers, moved into one tensor that the layers have views of.

    Args:
        layers: On one device.
    """

    def __init__(self, layers: Sequence[StoredLayer]) -> None:
        self.layers = layers
        self.codes = torch.cat([layer.layer.codes.flatten() for layer in layers])
        for layer, part in zip(layers, self._parts(self.codes, layers), strict=True):
            layer.layer.codes = part

    def narrowed(self, bits: Mapping[str, int]) -> dict[str, Tensor]:
        """Return the codes of every layer at its bit-width, those that are stored where it is that.

        Args:
            bits: Of the weights of every layer, by name.
        """
        found: dict[str, Tensor] = {}
        start = 0
        for (stored, wanted, rounding), run in groupby(
            self.layers,
            lambda one: (one.facts.widths[0], bits[one.facts.name], one.facts.rounding),
        ):
            alike = list(run)
            end = start + sum(one.layer.codes.numel() for one in alike)
            codes = [one.layer.codes for one in alike]
            if wanted != stored:
                together = narrow(self.codes[start:end], stored, wanted, rounding)
                codes = self._parts(together, alike)
            found |= {one.facts.name: part for one, part in zip(alike, codes, strict=True)}
            start = end
        return found

    @staticmethod
    def _parts(codes: Tensor, layers: Sequence[StoredLayer]) -> list[Tensor]:
        """Return one view of ``codes`` per layer, in its shape."""
        shapes = [one.layer.codes.shape for one in layers]
        parts = torch.split(codes, [shape.numel() for shape in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
