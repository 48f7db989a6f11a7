import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.deployment.onnx.parity import compare
from bitswitch.tasks.classification import Classification
from tests.deployment import exported
from tests.deployment.onnx.test_export import exact

TASK = Classification()


def batch(count, seed):
    images = exported.images(count=count, seed=seed)
    return Batch(images, torch.arange(count) % 10, torch.arange(count))


def test_both_are_counted(pair):
    integers, batches = pair[1], [batch(8, 1), batch(4, 2)]
    found = compare(integers, batches, 4, TASK)
    hits = [exact(integers, b.inputs, 4).argmax(1) == b.targets for b in batches]
    assert (found.images, found.policy, found.metric) == (12, 4, "top1")
    assert found.headline_integer == pytest.approx(100 * float(torch.cat(hits).float().mean()))
    assert abs(found.headline_integer - found.headline_onnxruntime) <= 100 * found.differing / 12
    assert 0 < found.largest_difference < 0.5
    assert found.kernels.integer > 0
    assert integers.policy == 8


def test_a_difference_is_seen(pair, monkeypatch):
    integers = pair[1]

    def wrong(session, images):
        return -exact(integers, images, 8)

    monkeypatch.setattr("bitswitch.deployment.onnx.runtime.Session.__call__", wrong)
    found = compare(integers, [batch(8, 1)], 8, TASK)
    assert found.differing == 8
    assert found.largest_difference > 0.5
