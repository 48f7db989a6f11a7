"""Tests of ``bitswitch.report.tables.starts``."""

from types import SimpleNamespace

import pytest

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis.values import Place, Sample
from bitswitch.report.tables import starts

TOP1 = Metric("top1", "Top-1", "percent", "higher", 2)
PERPLEXITY = Metric("perplexity", "Perplexity", "1", "lower", 2, "log")
SET = "{8,3,2}"
METHODS = {"zero": "zero-step", "ours": "double-rounding", "other": "adabits"}


def grid(metric=TOP1, recalibrated=(), **rows):
    """Return a grid of rows, each with its values at 8, 3 and 2 bits."""

    def samples(found):
        return {
            Place(row, SET, bits): Sample({0: value} if value else {}, (), 1000, metric)
            for row, values in found.items()
            for bits, value in zip("832", values, strict=True)
        }

    return SimpleNamespace(
        variants={row: SimpleNamespace(method=SimpleNamespace(name=METHODS[row])) for row in rows},
        samples=samples(rows),
        recalibrated=samples(dict(recalibrated)),
        places=lambda variant: [Place(variant, SET, bits) for bits in "832"],
    )


@pytest.mark.parametrize(
    ("row", "values", "again", "expected"),
    [
        ("ours", (85, 81, 61), None, ""),  # five points at a wide bit-width go unsaid
        ("ours", (84, 81, 61), None, "below zero-step at 8 bits: its steps cost it"),
        ("other", (80, 79, 50), None, "below zero-step at 8, 3 and 2 bits: it starts from"),
        ("ours", (90, 79, 61), None, "below zero-step at 3 bits: its steps cost it"),
        ("other", (90, 79, 50), None, "below zero-step at 3 and 2 bits: it starts from quantizers"),
        ("other", (90, 90, 50), (88, 90, 70), "below zero-step at 2 bits: its statistics of batch"),
        ("other", (90, 90, 50), (88, 90, 59), "below zero-step at 2 bits: it starts from"),
        ("other", (90, 90, None), None, ""),  # what collapsed says so itself
    ],
)
def test_a_row_below_the_start_says_where_and_why(row, values, again, expected):
    made = grid(zero=(90, 80, 60), **{row: values}, recalibrated={row: again} if again else ())
    found = starts.remark(made, row)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_lower_may_be_better():
    worse = grid(PERPLEXITY, zero=(6, 7, 8), ours=(6, 7, 9))
    assert starts.remark(worse, "ours").startswith("below zero-step at 2 bits")
    assert not starts.remark(grid(PERPLEXITY, zero=(6, 7, 8), ours=(6.1, 6, 7)), "ours")


def test_without_a_start_nothing_is_said():
    assert not starts.remark(grid(ours=(1, 2, 3)), "ours")
    assert not starts.remark(grid(zero=(90, 80, 60), ours=(95, 90, 80)), "zero")
