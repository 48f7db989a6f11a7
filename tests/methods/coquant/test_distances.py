import math

import pytest
import torch
from torch.nn.functional import softmax

from bitswitch.methods.coquant.distances import MEMORY, Distances


def test_the_nearest_is_the_narrowest_of_equals():
    distances = Distances(4)
    assert distances.nearest(3) == 2
    distances.learn([2.0, 1.0, 1.0])
    assert distances.nearest(3) == 2
    distances.learn([0.5, 1.0, 1.0])
    assert distances.nearest(3) == 0


def test_distances_that_were_saved_are_known_again():
    first, second = Distances(3), Distances(3)
    first.table[2, :2] = torch.tensor([0.5, 1.0])
    second.load_state_dict(first.state_dict())
    assert second.nearest(2) == 0


def test_distances_are_running_means_of_the_divergence_from_teacher_to_student():
    distances = Distances(3)
    student = torch.tensor([[0.2, -0.3], [1.0, 0.1]])
    teachers = [torch.tensor([[1.0, 2.0], [0.0, 0.5]]), torch.tensor([[0.1, -0.2], [0.9, 0.0]])]
    for _ in range(2):
        noted = distances.note(student, teachers)

    def divergence(teacher):
        p, q = softmax(teacher, dim=1).tolist(), softmax(student, dim=1).tolist()
        rows = [
            [a * math.log(a / b) for a, b in zip(*two, strict=True)]
            for two in zip(p, q, strict=True)
        ]
        return sum(map(sum, rows)) / len(rows)

    expected = [divergence(t) * (1 - MEMORY) * (1 + MEMORY) for t in teachers]
    assert distances.table[2, :2].tolist() == pytest.approx(expected, rel=1e-4)
    assert not distances.table[:2].any()
    assert torch.equal(noted, distances.table[2, :2])
    distances.learn(noted.tolist())
    assert distances.nearest(2) == 1
