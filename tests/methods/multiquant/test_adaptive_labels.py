import math

import pytest
import torch

from bitswitch.methods.multiquant.adaptive_labels import AdaptiveLabels

CLASSES = 3


def epochs(count, images=24):
    generator = torch.Generator().manual_seed(0)
    return [
        (
            3 * torch.randn(images, CLASSES, generator=generator),
            torch.randint(CLASSES, (images,), generator=generator),
        )
        for _ in range(count)
    ]


def reference(logits, targets, labels):
    """The labels of the next epoch, in Python numbers."""
    renewed = []
    for label in range(CLASSES):
        predictions = []
        for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
            if target == label and row.index(max(row)) == label:
                total = sum(map(math.exp, row))
                predictions.append([math.exp(value) / total for value in row])
        means = [sum(p) / len(predictions) for p in zip(*predictions, strict=True)]
        renewed.append(means or labels[label])
    return renewed


def test_labels_follow_the_reference_over_epochs():
    memory, expected = AdaptiveLabels(CLASSES), [[1 / CLASSES] * CLASSES] * CLASSES
    for epoch, (logits, targets) in enumerate(epochs(4)):
        memory.begin(epoch)
        torch.testing.assert_close(memory.labels, torch.tensor(expected))
        assert memory.labels.sum(1).tolist() == pytest.approx([1] * CLASSES)
        for part in range(0, len(targets), 8):  # as batches
            memory.begin(epoch)
            memory.note(logits[part : part + 8], targets[part : part + 8])
        expected = reference(logits, targets, expected)


def test_a_class_without_correct_predictions_keeps_its_label():
    memory = AdaptiveLabels(CLASSES)
    memory.note(torch.tensor([[4.0, 0, 0], [4.0, 0, 0]]), torch.tensor([0, 1]))
    memory.begin(1)
    top = math.exp(4) / (math.exp(4) + 2)
    assert memory.labels[0].tolist() == pytest.approx([top, (1 - top) / 2, (1 - top) / 2])
    assert memory.labels[1:].flatten().tolist() == pytest.approx([1 / CLASSES] * 6)
    before = memory.labels.clone()
    memory.begin(2)
    assert torch.equal(memory.labels, before)


def test_labels_are_mixed_with_the_given_ones():
    memory = AdaptiveLabels(CLASSES)
    memory.labels.copy_(torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.0, 0.0, 1.0]]))
    targets = torch.tensor([1, 0])
    hard = memory.mixed(targets, targets, 0.25)
    torch.testing.assert_close(hard, torch.tensor([[0.05, 0.9, 0.05], [0.95, 0.025, 0.025]]))
    given = torch.full((2, CLASSES), 1 / CLASSES)
    torch.testing.assert_close(memory.mixed(given, targets, 0.0), given)
    assert torch.equal(memory.mixed(given, targets, 1.0), memory.labels[targets])


def test_noting_needs_no_gradient():
    memory, logits = AdaptiveLabels(CLASSES), torch.randn(4, CLASSES, requires_grad=True)
    memory.note(logits, torch.tensor([0, 1, 2, 0]))
    assert not memory.sums.requires_grad


def test_an_interrupted_epoch_goes_on():
    first, last = epochs(2)
    whole, begun = AdaptiveLabels(CLASSES), AdaptiveLabels(CLASSES)
    for memory in (whole, begun):
        memory.begin(3)
        memory.note(*first)
    resumed = AdaptiveLabels(CLASSES)
    resumed.load_state_dict(begun.state_dict())
    for memory in (whole, resumed):
        memory.begin(3)
        memory.note(*last)
        memory.begin(4)
    assert torch.equal(whole.labels, resumed.labels)
