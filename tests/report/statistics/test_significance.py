"""Tests of ``bitswitch.report.statistics.significance``."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.report.statistics import sign_flip


@given(st.lists(st.integers(-30, 30), min_size=6, max_size=8))
def test_sign_flip_counts_every_sign(differences):
    totals = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(total >= abs(sum(differences)) for total in totals) / len(totals)
    assert sign_flip(differences) == pytest.approx(expected)
    assert sign_flip([value / 100 + 90.1 - 90.1 for value in differences]) == pytest.approx(
        expected
    )
