"""Splits of clusters are at least as good as those of the public code, and mostly the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bitswitch.methods.any_precision_llm.clusters import Clusters, Sorted, k_means, split

PARENT = 8
RUNS = {"s3": (3, 1), "s2": (2, 1), "s3g": (3, 2)}
"""Bits of the seed, and groups of each output."""

with np.load(Path(__file__).parent / "any_precision_llm.npz") as arrays:
    ARRAYS = {key: torch.from_numpy(arrays[key]) for key in arrays}


class Published:
    """What the public code made of one run; a row for every table."""

    def __init__(self, run):
        self.run, (self.seed, groups) = run, RUNS[run]
        rows = len(ARRAYS["w"]) * groups
        weight = ARRAYS["w"].reshape(rows, -1)
        importance = (ARRAYS["g"] * (ARRAYS["w"] != 0)).reshape(rows, -1)
        values, order = weight.sort(dim=1, stable=True)
        self.rows = Sorted.of(values, importance.gather(1, order))
        self.labels = ARRAYS[f"{run}_labels"].reshape(rows, -1).long().gather(1, order)

    def clusters(self, bits):
        labels = (self.labels >> (PARENT - bits)).contiguous()
        ends = torch.arange(2**bits + 1).expand(len(labels), -1).contiguous()
        table = ARRAYS[f"{self.run}_lut{bits}"]
        return Clusters(torch.searchsorted(labels, ends), table.flatten(0, 1).double())

    def errors(self, clusters):
        """Return the weighted squared error within each cluster, [rows, k]."""
        borders = clusters.borders[:, 1:].contiguous()
        places = torch.arange(self.labels.shape[1]).expand_as(self.labels).contiguous()
        labels = torch.searchsorted(borders, places, right=True)
        apart = self.rows.values - clusters.centroids.gather(1, labels)
        weighted = self.rows.weights.diff(dim=1) * apart.square()
        return torch.zeros_like(clusters.centroids).scatter_add(1, labels, weighted)


@pytest.mark.parametrize("run", RUNS)
def test_splits(run):
    published = Published(run)
    for bits in range(published.seed + 1, PARENT + 1):
        mine, theirs = split(published.rows, published.clusters(bits - 1)), published.clusters(bits)
        pairs = [published.errors(one).unflatten(1, (-1, 2)).sum(2) for one in (mine, theirs)]
        assert (pairs[0] <= pairs[1] * (1 + 1e-6) + 1e-12).all()
        alike = (pairs[1] > 0) & (pairs[0] >= pairs[1] * (1 - 1e-6))
        assert alike.sum() > 0.5 * (pairs[1] > 0).sum()
        apart = (mine.centroids - theirs.centroids).abs() > 1e-6
        assert not (apart & alike.repeat_interleave(2, 1)).any()


@pytest.mark.parametrize("run", RUNS)
def test_seeds_are_as_good_on_average(run):
    published = Published(run)
    mine = published.errors(k_means(published.rows, 2**published.seed)).sum(1)
    theirs = published.errors(published.clusters(published.seed)).sum(1)
    assert (mine / theirs).log().mean() < 0
