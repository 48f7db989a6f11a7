"""Tests of ``bitswitch.report.analysis.budgets``."""

import pytest

from bitswitch.report.analysis import budgets
from bitswitch.report.collect.frames import Frames
from bitswitch.spec.search import Budget


def test_budgets_of_an_experiment_stand_once(mixed_frames: Frames):
    found = budgets.of_experiment(mixed_frames, "search-comparison")
    assert list(found) == ["average-bits-4", "bitops-of-w6a6"]


@pytest.mark.parametrize(
    ("budget", "title", "column"),
    [
        ({"cost": "average-bits", "at_most": 3}, "average bits ≤ 3", "3MP"),
        ({"cost": "average-bits", "at_most": 2.5}, "average bits ≤ 2.5", "2.5MP"),
        ({"cost": "bitops", "of_uniform": 4}, "BitOps ≤ w4a4", "BitOps ≤ w4a4"),
        ({"cost": "latency", "at_most": 8}, "latency ≤ 8 ms", "latency ≤ 8 ms"),
        (
            {"cost": "size", "share": 0.25},
            "size ≤ 25 % of the widest",
            "size ≤ 25 % of the widest",
        ),
    ],
)
def test_titles_say_cost_and_limit(budget: dict, title: str, column: str):
    chosen = Budget.model_validate(budget)
    assert budgets.title(chosen) == title
    assert budgets.column(chosen) == column


@pytest.mark.parametrize(
    ("cost", "value", "text"),
    [("bitops", 17e6, "17.00 MBitOps"), ("size", 8000, "1.0 kB"), ("latency", 2, "2.00 ms")],
)
def test_amounts_have_units(cost: str, value: float, text: str):
    assert budgets.amount(cost, value) == text
