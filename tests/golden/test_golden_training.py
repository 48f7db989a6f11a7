"""One run whose numbers are committed: notices changes of the numbers that nobody intended.

On one machine a run repeats bit for bit. Between machines the last digits of a convolution differ,
and a rounded network makes percents of them within a few steps; a wrong equation makes more.
"""

import csv
from pathlib import Path

import pytest

from bitswitch import stages
from bitswitch.results.files import read_lines

GOLDEN = Path(__file__).with_suffix(".csv")
TOLERANCE = {"loss": 0.05, "held_out_loss": 0.05, "scale_learning_rate": 0.10}
"""Relative. Weights disturbed by 1e-7 of their value moved these numbers by 0.02, 0.02 and 0.04."""


def rows(folder):
    """Return (epoch, bits, quantity, value) of every epoch."""
    return [
        (str(line["epoch"]), bits, quantity, values[quantity])
        for line in read_lines(folder / "train.jsonl")
        for bits, values in line["bits"].items()
        for quantity in TOLERANCE
    ]


@pytest.fixture
def trained(tmp_path, tiny_data, tiny_run):
    return stages.train(tiny_run(), tmp_path / "first", tiny_data, "cpu")


def test_a_run_repeats_bit_for_bit(trained, tmp_path, tiny_data, tiny_run):
    again = stages.train(tiny_run(), tmp_path / "second", tiny_data, "cpu")
    for name in ("metrics.jsonl", "train.jsonl", "steps.jsonl"):
        assert (trained / name).read_bytes() == (again / name).read_bytes()


def test_a_run_gives_the_committed_numbers(trained, tmp_path):
    actual = rows(trained)
    written = tmp_path / GOLDEN.name
    with written.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            (*key, f"{value:.6g}") for *key, value in actual
        )
    with GOLDEN.open(newline="") as file:
        expected = {tuple(key): float(value) for *key, value in csv.reader(file)}
    assert {tuple(key) for *key, _ in actual} == set(expected)
    wrong = [
        f"{key}: {value:.6g}, committed {expected[tuple(key)]}"
        for *key, value in actual
        if abs(value / expected[tuple(key)] - 1) > TOLERANCE[key[-1]]
    ]
    advice = f"if the change is intended: cp {written} {GOLDEN}"
    assert not wrong, "\n".join([*wrong, advice])
