"""Weights as labels of 8 bits, whose upper bits are places in a table of values for each width."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.methods.any_precision_llm.clusters import Clusters, Sorted, k_means, split
from bitswitch.quant.granularity import Granularity
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.initial import measured
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.types import BitSet

MOST_VALUES = 2**22
"""Weights that are clustered at once; rows are independent."""
NO_CODES = (
    "its values are entries of a table for every output and bit-width, at no even distances: no "
    "integer times a scale is a weight"
)
"""Why there are no codes."""


class TableQuantizer(Quantizer):
    """Every bit-width looks up the upper bits of the same labels in tables of its own.

    Until ``fit`` has clustered the weights, tables hold the middles of even intervals.

    Args:
        weight: Float weights [out, in, ...].
        bitset: Bit-widths, widest first.
        granularity: Which weights share a table.

    Source: park2024anyprecision, section 4.1.

    >>> from bitswitch.quant.granularity import PerChannel
    >>> weight = torch.tensor([[0.5, -0.25, 3.0, -1.0, 0.75, 2.5]])
    >>> quantize = TableQuantizer(weight, (3, 2), PerChannel())
    >>> quantize.fit(weight, importance=torch.ones_like(weight), seed=2)
    >>> quantize(weight, Width.of(2, (3, 2))).tolist()
    [[0.625, -0.25, 2.75, -1.0, 0.625, 2.75]]
    """

    labels: Tensor
    """uint8, the shape of the weight."""
    values: Tensor
    """float32 [rows, sum of 2^b], the tables of all bit-widths, widest first."""
    starts: Tensor
    """int64 [bit-widths]: where each table begins."""
    shifts: Tensor
    """int64 [bit-widths]: bits of a label that each leaves out."""

    def __init__(self, weight: Tensor, bitset: BitSet, granularity: Granularity) -> None:
        super().__init__()
        self.bitset = bitset
        self.granularity = granularity
        self.shape = weight.shape
        device = weight.device
        sizes = [2**bits for bits in bitset]
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        shifts = [bitset[0] - bits for bits in bitset]
        self.register_buffer("starts", torch.tensor(starts, device=device), persistent=False)
        self.register_buffer("shifts", torch.tensor(shifts, device=device), persistent=False)
        self._spread(at_least_float32(weight.detach()))

    @torch.no_grad()
    def fit(self, weight: Tensor, importance: Tensor, seed: int) -> None:
        """Cluster ``weight`` by its ``importance``.

        Args:
            weight: [out, in, ...].
            importance: Of every weight's squared error, not negative, same shape.
            seed: Bits of the first clusters, which k-means finds; those of more bits are halves.
        """
        rows = self.granularity.rows(at_least_float32(weight.detach()))
        importance = self.granularity.rows(importance * (weight != 0))
        size = max(1, MOST_VALUES // rows.shape[1])
        pairs = zip(torch.split(rows, size), torch.split(importance, size), strict=True)
        parts = [self._clustered(*pair, seed) for pair in pairs]
        labels, values = (torch.cat(part) for part in zip(*parts, strict=True))
        self._set(labels, values)

    def forward(self, x: Tensor, width: Width) -> Tensor:
        rows = self.granularity.rows(self.labels).long()
        places = self.starts[width.index] + (rows >> self.shifts[width.index])
        found = self.values.gather(1, places).reshape(self.shape)
        return found + (x - x.detach())

    def encode(self, x: Tensor, width: Width) -> Codes:
        raise EncodingError(f"These weights have no codes: {NO_CODES}.")

    def stored_scales(self, shape: Sequence[int], bitset: BitSet) -> int:
        """Return the number of entries of all tables, which are as long as scales."""
        return self.values.numel()

    def _clustered(self, rows: Tensor, importance: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return labels, and the tables of all bit-widths side by side."""
        ordered, order = rows.sort(dim=1, stable=True)
        by_size = Sorted.of(ordered, importance.gather(1, order))
        clusters: Clusters = k_means(by_size, 2**seed)
        tables = {seed: clusters.centroids}
        for bits in range(seed + 1, self.bitset[0] + 1):
            clusters = split(by_size, clusters)
            tables[bits] = clusters.centroids
        places = torch.arange(rows.shape[1], device=rows.device).expand_as(order).contiguous()
        found = torch.searchsorted(clusters.borders[:, 1:].contiguous(), places, right=True)
        labels = torch.empty_like(found).scatter_(1, order, found)
        return labels, torch.cat([tables[bits] for bits in self.bitset], 1)

    def _spread(self, weight: Tensor) -> None:
        """Let labels be even intervals from the least weight to the largest."""
        rows = self.granularity.rows(weight)
        low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
        count = 2 ** self.bitset[0]
        scale = measured((high - low) / count)
        labels = ((rows - low) / scale).floor().clamp(0, count - 1)
        middles = []
        for bits in self.bitset:
            steps = torch.arange(2**bits, device=rows.device) + 0.5
            middles.append(low + scale * 2.0 ** (self.bitset[0] - bits) * steps)
        self._set(labels, torch.cat(middles, 1))

    def _set(self, labels: Tensor, values: Tensor) -> None:
        self.register_buffer("labels", labels.to(torch.uint8).reshape(self.shape))
        self.register_buffer("values", values.float())
