"""Weighted clusters of sorted numbers: a few by k-means, then every one is split in two."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

ROUNDS = 50
"""Of Lloyd's algorithm, at most; after the last change nothing moves any more."""


class Sorted(NamedTuple):
    """Rows of numbers in rising order, and sums over their beginnings; all float64."""

    values: Tensor
    """[rows, n]."""
    weights: Tensor
    """Sum of the weights before each place, [rows, n + 1], as the others."""
    moments: Tensor
    """Sum of weight times number."""
    plain: Tensor
    """Sum of the numbers."""

    @classmethod
    def of(cls, values: Tensor, weights: Tensor) -> Self:
        """Return rising ``values`` [rows, n] with ``weights``; 1 in rows where all are 0."""
        values, weights = values.double(), weights.double()
        weights = torch.where(weights.sum(1, keepdim=True) == 0, 1.0, weights)
        return cls(values, _before(weights), _before(weights * values), _before(values))

    def weight(self, start: Tensor, stop: Tensor) -> Tensor:
        """Return the sum of the weights from ``start`` to ``stop``, [rows, k]."""
        return self.weights.gather(1, stop) - self.weights.gather(1, start)

    def sums(self, start: Tensor, stop: Tensor, idle: Tensor) -> tuple[Tensor, Tensor]:
        """Return sum of weights, and of weight times number, from ``start`` to ``stop``, [rows, k].

        Where ``idle`` is true, every number counts 1.
        """
        moment = self.moments.gather(1, stop) - self.moments.gather(1, start)
        plain = self.plain.gather(1, stop) - self.plain.gather(1, start)
        count, weight = (stop - start).double(), self.weight(start, stop)
        return torch.where(idle, count, weight), torch.where(idle, plain, moment)

    def means(self, start: Tensor, stop: Tensor) -> Tensor:
        """Return means from ``start`` to ``stop``; plain ones without weights, NaN of nothing."""
        weight, moment = self.sums(start, stop, self.weight(start, stop) <= 0)
        return moment / weight


class Clusters(NamedTuple):
    """A partition of every row into k intervals."""

    borders: Tensor
    """int64 [rows, k + 1]: the first is 0, the last n."""
    centroids: Tensor
    """float64 [rows, k]; an empty interval has one too."""


def k_means(rows: Sorted, count: int) -> Clusters:
    """Return ``count`` clusters by Lloyd's algorithm, the best of four starts.

    These are equal shares of the weight, equal shares of the numbers, equal distances, and splits
    of one cluster, each where it helps most.

    Args:
        rows: To be partitioned.
        count: Of clusters.

    Source: kim2024squeezellm, section 4.1 (weighted k-means of each output's weights), which
    park2024anyprecision takes as its seed.
    """
    found = [_lloyd(rows, start) for start in _starts(rows, count)]
    gains = torch.stack([_gain(rows, one) for one in found])
    best = gains.argmax(0)[:, None]
    borders, centroids = (torch.stack(part) for part in zip(*found, strict=True))
    return Clusters(_pick(borders, best), _pick(centroids, best))


def split(rows: Sorted, clusters: Clusters) -> Clusters:
    """Return two clusters for each of ``clusters``, with the least weighted squared error.

    All places to split at are tried. Numbers without weight go to the nearer half. An empty cluster
    hands its centroid to both halves; where there is one number, the second half is empty.

    Source: park2024anyprecision, section 4.1 (incremental upscaling).
    """
    borders, n = clusters.borders, rows.values.shape[1]
    places, owner, gain = _splits(rows, borders)
    most = torch.full_like(clusters.centroids, -torch.inf).scatter_reduce(1, owner, gain, "amax")
    is_best = (gain == most.gather(1, owner)) & gain.isfinite()
    stops = borders[:, 1:]
    first = torch.where(is_best, places, n)
    middle = torch.full_like(stops, n).scatter_reduce(1, owner, first, "amin")
    middle = torch.minimum(middle, stops)
    middle = _nearer(rows, borders[:, :-1], middle, stops)
    doubled = torch.stack([borders[:, :-1], middle], 2).flatten(1)
    doubled = torch.cat([doubled, borders[:, -1:]], 1)
    return Clusters(doubled, _centroids(rows, doubled, clusters.centroids.repeat_interleave(2, 1)))


def _splits(rows: Sorted, borders: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return all places to split at, the cluster of each, and what a split there is worth.

    All are [rows, n - 1]; what begins a cluster already is worth minus infinity.
    """
    n = rows.values.shape[1]
    places = torch.arange(1, n, device=borders.device).expand(len(borders), -1).contiguous()
    owner = torch.searchsorted(borders[:, 1:].contiguous(), places, right=True)
    owner = owner.clamp(max=borders.shape[1] - 2)
    start, stop = borders.gather(1, owner), borders.gather(1, owner + 1)
    idle = rows.weight(start, stop) <= 0
    gain = _worth(rows, start, places, idle) + _worth(rows, places, stop, idle)
    return places, owner, torch.where(places > start, gain, -torch.inf)


def _before(values: Tensor) -> Tensor:
    return torch.nn.functional.pad(values.cumsum(1), (1, 0))


def _pick(stacked: Tensor, best: Tensor) -> Tensor:
    """Return [rows, k] of ``stacked`` [starts, rows, k], by the index ``best`` [rows, 1]."""
    return stacked.gather(0, best.expand_as(stacked[0])[None])[0]


def _starts(rows: Sorted, count: int) -> list[Tensor]:
    """Return centroids [rows, count] to start from."""
    values = rows.values
    shares = (torch.arange(count, dtype=values.dtype, device=values.device) + 0.5) / count
    total = rows.weights[:, -1:]
    by_weight = torch.searchsorted(rows.weights[:, 1:].contiguous(), shares * total)
    by_number = (shares * values.shape[1]).long().expand(len(values), -1)
    low, high = values[:, :1], values[:, -1:]
    last = values.shape[1] - 1
    return [
        values.gather(1, by_weight.clamp(max=last)),
        values.gather(1, by_number.clamp(max=last)),
        low + shares * (high - low),
        _greedy(rows, count),
    ]


def _greedy(rows: Sorted, count: int) -> Tensor:
    """Return the means of clusters that come from splitting one after another."""
    ends = torch.tensor([0, rows.values.shape[1]], device=rows.values.device)
    borders = ends.expand(len(rows.values), -1).contiguous()
    for _ in range(count - 1):
        if rows.values.shape[1] == 1:
            borders = torch.cat([borders, borders[:, -1:]], 1)
            continue
        places, owner, gain = _splits(rows, borders)
        start, stop = borders.gather(1, owner), borders.gather(1, owner + 1)
        whole = _worth(rows, start, stop, rows.weight(start, stop) <= 0)
        best = (gain - whole).argmax(1, keepdim=True)
        borders = torch.cat([borders, places.gather(1, best)], 1).sort(dim=1).values
    zeros = torch.zeros_like(borders[:, 1:], dtype=rows.values.dtype)
    return _centroids(rows, borders, zeros).sort(dim=1).values


def _lloyd(rows: Sorted, centroids: Tensor) -> Clusters:
    """Move ``centroids`` until nothing changes, or for ``ROUNDS`` rounds."""
    borders = _borders(rows, centroids)
    for _ in range(ROUNDS):
        centroids = _centroids(rows, borders, centroids)
        borders = _borders(rows, centroids)
    return Clusters(borders, _centroids(rows, borders, centroids))


def _borders(rows: Sorted, centroids: Tensor) -> Tensor:
    """Return the borders between nearest numbers of sorted ``centroids``."""
    middles = (centroids[:, 1:] + centroids[:, :-1]) / 2
    inner = torch.searchsorted(rows.values, middles.contiguous())
    ends = inner.new_zeros(len(inner), 1)
    return torch.cat([ends, inner, torch.full_like(ends, rows.values.shape[1])], 1)


def _centroids(rows: Sorted, borders: Tensor, before: Tensor) -> Tensor:
    """Return the means of all clusters; those of empty ones are as ``before``."""
    start, stop = borders[:, :-1], borders[:, 1:]
    return torch.where(start == stop, before, rows.means(start, stop))


def _worth(rows: Sorted, start: Tensor, stop: Tensor, idle: Tensor) -> Tensor:
    """Return by how much the squared error falls where a cluster has its mean, [rows, k]."""
    weight, moment = rows.sums(start, stop, idle)
    return torch.where(weight > 0, moment.square() / weight, 0.0)


def _gain(rows: Sorted, clusters: Clusters) -> Tensor:
    start, stop = clusters.borders[:, :-1], clusters.borders[:, 1:]
    return _worth(rows, start, stop, torch.zeros_like(start, dtype=torch.bool)).sum(1)


def _nearer(rows: Sorted, start: Tensor, middle: Tensor, stop: Tensor) -> Tensor:
    """Move ``middle`` past numbers without weight that are nearer to the other half."""
    halfway = (rows.means(start, middle) + rows.means(middle, stop)) / 2
    place = torch.searchsorted(rows.values, halfway.nan_to_num(0.0).contiguous())
    moved = torch.minimum(torch.maximum(place, start + 1), stop - 1)
    same = rows.weights.gather(1, moved.clamp(min=0)) == rows.weights.gather(1, middle)
    return torch.where(same & (start < middle) & (middle < stop), moved, middle)
