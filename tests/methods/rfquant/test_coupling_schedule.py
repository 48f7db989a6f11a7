from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.methods.rfquant.coupling_schedule import (
    EPOCHS,
    begun_epochs,
    dropped_share,
    error_weight,
    largest,
)


def test_errors_count_after_40_of_150_epochs():
    assert error_weight(39.9 / 150) == error_weight(40 / 150) == 0
    assert error_weight(95 / 150) == pytest.approx(0.5)
    assert error_weight(1.0) == pytest.approx(1.0)


def test_bits_are_dropped_every_second_epoch_and_later_every_fifteenth():
    due = [epoch for epoch in range(EPOCHS) if dropped_share(epoch) is not None]
    assert due == [*range(7, 108, 2), 119, 134, 149]


def test_the_share_falls_along_a_cosine():
    shares = [dropped_share(epoch) for epoch in (7, 57, 149)]
    expected = [0.2 + 0.15 * (1 + cos(pi * count / 75)) for count in (1, 26, 72)]
    assert shares == pytest.approx(expected)


@given(steps=st.integers(1, 2000))
def test_every_epoch_begins_once_whatever_the_length(steps):
    begun = [epoch for step in range(steps) for epoch in begun_epochs(step, steps)]
    assert begun == list(range(begun[-1] + 1))
    assert begun[-1] == EPOCHS * (steps - 1) // steps


def test_the_largest_share_is_rounded_down():
    assert largest([3.0, 1.0, 2.0], 0.5) == [True, False, False]
    assert largest([3.0, 1.0, 2.0], 0.3) == [False] * 3
    assert largest([], 0.5) == []
