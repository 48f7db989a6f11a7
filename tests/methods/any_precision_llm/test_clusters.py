from itertools import combinations_with_replacement, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.methods.any_precision_llm.clusters import Clusters, Sorted, k_means, split

numbers = st.lists(
    st.tuples(st.floats(-4, 4, width=32), st.sampled_from([0.0, 0.5, 1.0, 3.0])),
    min_size=1,
    max_size=8,
)


def sorted_rows(pairs):
    pairs = sorted(pairs)
    values, weights = (torch.tensor([column]) for column in zip(*pairs, strict=True))
    return Sorted.of(values, weights)


def squared_error(pairs):
    """Return the least weighted squared error of numbers that share a centroid."""
    total = sum(weight for _, weight in pairs)
    if total == 0:
        return 0.0
    mean = sum(value * weight for value, weight in pairs) / total
    return sum(weight * (value - mean) ** 2 for value, weight in pairs)


def parts(pairs, borders):
    return [pairs[a:b] for a, b in pairwise(borders)]


def least_error(pairs, count):
    """Return the least error of ``count`` intervals, of all that there are."""
    inner = combinations_with_replacement(range(len(pairs) + 1), count - 1)
    return min(sum(map(squared_error, parts(pairs, [0, *one, len(pairs)]))) for one in inner)


def ones_if_idle(pairs):
    idle = not any(weight for _, weight in pairs)
    return [(value, 1.0 if idle else weight) for value, weight in pairs]


@settings(max_examples=50)
@given(numbers)
def test_a_split_is_the_best_of_all(pairs):
    rows, pairs = sorted_rows(pairs), ones_if_idle(sorted(pairs))
    whole = Clusters(torch.tensor([[0, len(pairs)]]), torch.zeros(1, 1, dtype=torch.float64))
    found = split(rows, whole)
    halves = parts(pairs, found.borders[0].tolist())
    error = sum(map(squared_error, halves))
    assert error == pytest.approx(least_error(pairs, 2), abs=1e-6)
    for half, centroid in zip(halves, found.centroids[0].tolist(), strict=True):
        if half:
            weighted = ones_if_idle(half)
            mean = sum(v * w for v, w in weighted) / sum(w for _, w in weighted)
            assert centroid == pytest.approx(mean, abs=1e-5)


@settings(max_examples=30)
@given(numbers, st.integers(2, 4))
def test_k_means_is_between_the_best_and_one_cluster(pairs, count):
    rows, pairs = sorted_rows(pairs), ones_if_idle(sorted(pairs))
    found = k_means(rows, count)
    borders = found.borders[0].tolist()
    assert borders == sorted(borders)
    assert (borders[0], borders[-1]) == (0, len(pairs))
    error = sum(map(squared_error, parts(pairs, borders)))
    assert least_error(pairs, count) - 1e-9 <= error <= squared_error(pairs) + 1e-9


def test_k_means_is_nearly_optimal_on_random_numbers():
    draw = torch.Generator().manual_seed(0)
    excess = []
    for _ in range(20):
        values = torch.randn(10, generator=draw).tolist()
        weights = (torch.rand(10, generator=draw) + 0.01).tolist()
        pairs = sorted(zip(values, weights, strict=True))
        borders = k_means(sorted_rows(pairs), 3).borders[0].tolist()
        error = sum(map(squared_error, parts(pairs, borders)))
        excess.append(error / least_error(pairs, 3))
    assert sum(excess) / len(excess) < 1.05


def test_empty_clusters_hand_on_their_centroid_and_single_numbers_stay():
    rows = sorted_rows([(1.0, 1.0), (2.0, 1.0), (5.0, 1.0)])
    clusters = Clusters(
        torch.tensor([[0, 2, 2, 3]]), torch.tensor([[1.5, 3.5, 5.0]], dtype=torch.float64)
    )
    found = split(rows, clusters)
    assert found.borders.tolist() == [[0, 1, 2, 2, 2, 3, 3]]
    assert found.centroids.tolist() == [[1.0, 2.0, 3.5, 3.5, 5.0, 5.0]]


def test_numbers_without_weight_go_to_the_nearer_half():
    pairs = [(0.0, 1.0), (0.1, 0.0), (0.9, 0.0), (1.0, 1.0)]
    whole = Clusters(torch.tensor([[0, 4]]), torch.zeros(1, 1, dtype=torch.float64))
    found = split(sorted_rows(pairs), whole)
    assert found.borders.tolist() == [[0, 2, 4]]
    assert found.centroids.tolist() == [[0.0, 1.0]]
