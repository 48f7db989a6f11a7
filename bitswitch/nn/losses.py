"""Losses of classification, between logits and labels or between logits and logits."""

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, softmax


def soft_cross_entropy(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean cross-entropy of ``logits`` to the predictions of a teacher.

    Its gradient is that of the Kullback-Leibler divergence, which differs by the teacher's entropy.

    Args:
        logits: [n, classes].
        teacher: Detached logits [n, classes].
    """
    return cross_entropy(logits, softmax(teacher, dim=1))


def distilled(logits: Tensor, targets: Tensor, teacher: Tensor, share: float) -> Tensor:
    """Return ``share`` times the loss to a teacher plus the rest times the loss to the labels.

    Args:
        logits: [n, classes].
        targets: Class indices [n], or soft targets [n, classes].
        teacher: Detached logits [n, classes].
        share: Of the teacher, 0 to 1.
    """
    soft = soft_cross_entropy(logits, teacher)
    return soft if share == 1.0 else share * soft + (1 - share) * cross_entropy(logits, targets)


def smoothed(targets: Tensor, classes: int, smoothing: float) -> Tensor:
    """Return class indices [n] as soft targets [n, classes] with label smoothing.

    Args:
        targets: Class indices [n].
        classes: How many there are.
        smoothing: Share that is spread evenly over all classes, 0 to 1.

    Source: szegedy2016rethinking, section 7.
    """
    return (1 - smoothing) * one_hot(targets, classes) + smoothing / classes
