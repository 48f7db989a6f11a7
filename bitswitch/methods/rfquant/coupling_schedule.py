"""When the remedies against coupled weights act, as shares of any training."""

from math import cos, pi

EPOCHS = 150
"""Length of the published training, whose epochs are meant below."""
_FIRST_ERROR_EPOCH = 40
_FIRST_DROPS = 5
"""Bit-widths are dropped in later epochs."""
_LATE = int(0.72 * EPOCHS)
"""From here on, dropped bit-widths change less often."""
_INTERVAL, _LATE_INTERVAL = 2, 15
_FIRST_SHARE, _LAST_SHARE = 0.5, 0.2


def error_weight(progress: float) -> float:
    """Return the weight of quantization errors, which rises from 0 to 1 along half a cosine.

    Args:
        progress: Share of the training that is over, 0 to 1.

    Source: tang2024retraining, public code.

    >>> error_weight(0.2), error_weight(1.0)
    (0.0, 1.0)
    """
    start = _FIRST_ERROR_EPOCH / EPOCHS
    return 0.0 if progress < start else (1 - cos(pi * (progress - start) / (1 - start))) / 2


def begun_epochs(step: int, steps: int) -> range:
    """Return which of the published training's epochs begin with a 0-based ``step`` of ``steps``.

    >>> [list(begun_epochs(step, 300)) for step in range(4)], list(begun_epochs(1, 50))
    ([[0], [], [1], []], [1, 2, 3])
    """
    before = EPOCHS * (step - 1) // steps if step else -1
    return range(before + 1, EPOCHS * step // steps + 1)


def dropped_share(epoch: int) -> float | None:
    """Return the share of layers that lose their narrowest bit-width from ``epoch`` on.

    Args:
        epoch: 0-based, of the published training.

    Returns:
        From 0.5 down to 0.2 along half a cosine; None where the choice of layers stays.

    Source: tang2024retraining (bit-width scheduler), public code.
    """
    interval = _INTERVAL if epoch <= _LATE else _LATE_INTERVAL
    if epoch <= _FIRST_DROPS or (epoch + 1) % interval:
        return None
    progress = (epoch - _FIRST_DROPS) // 2 / (EPOCHS // 2)
    return _LAST_SHARE + (_FIRST_SHARE - _LAST_SHARE) * (1 + cos(pi * progress)) / 2


def largest(values: list[float], share: float) -> list[bool]:
    """Return which of ``values`` belong to the largest ``share`` of them, rounded down.

    >>> largest([0.1, 0.4, 0.3, 0.2], 0.5)
    [False, True, True, False]
    """
    ranked = sorted(range(len(values)), key=lambda position: -values[position])
    chosen = set(ranked[: int(len(values) * share)])
    return [position in chosen for position in range(len(values))]
