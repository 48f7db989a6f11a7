"""Tests of ``bitswitch.report.analysis.training_times``."""

from pathlib import Path

import pytest

from bitswitch.report.analysis.training_times import Clock, Saving
from bitswitch.report.collect.frames import Frames


def test_savings_have_two_denominators():
    saving = Saving(joint=0.7, separate=0.9)
    assert saving.of_joint == pytest.approx(28.57, abs=0.01)
    assert saving.of_separate == pytest.approx(22.22, abs=0.01)


def test_joint_times_are_those_of_alrs_and_separate_ones_one_per_bit_width(folder: Path):
    clock = Clock(Frames.read(folder), "separate", "resnet20")
    assert clock.bitsets == ["{8,6,4,2}", "{4,3,2}"]
    assert clock.joint_times("{4,3,2}") == pytest.approx([30 * 3**0.9 + seed for seed in range(3)])
    assert clock.separate_times("{4,3,2}") == pytest.approx([30.0] * 3)
    assert clock.separate_times() == pytest.approx([30.0] * 5)
    assert clock.devices == ["Xeon, 1 thread"]
    assert clock.setup == "embedded digits 16x16, 3 epochs, batch 64"
    assert (clock.is_fair, clock.kind) == (True, "CPU")


def test_an_incomplete_set_has_no_time(folder: Path):
    frames = Frames.read(folder)
    frames.runs.loc[frames.runs.bitset == "{3}", "status"] = "missing"
    clock = Clock(frames, "separate", "resnet20")
    assert clock.separate_times("{4,3,2}") is None
    assert clock.separate_times("{8,6,4,2}") is not None
