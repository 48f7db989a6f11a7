"""Tests of ``bitswitch.report.tables.cost_table``."""

from dataclasses import replace
from pathlib import Path

import pytest

from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH, Line, Table
from bitswitch.report.tables import cost_table
from tests.report.conftest import EXPERIMENTS, NETWORK, make_suite


def build(frames: Frames) -> Table:
    return cost_table.build(frames, "separate", "table5")


def line(table: Table, label: str) -> Line:
    return next(one for one in table.sections[0].lines if one.label == label)


def texts(found: Line) -> list[str]:
    return [entry.text for entry in found.entries]


def test_rows_are_those_of_the_paper(folder: Path):
    table = build(Frames.read(folder))
    assert [section.title for section in table.sections] == ["ResNet-20", "ResNet-18", "ResNet-50"]
    for section in table.sections:
        assert [one.label for one in section.lines] == ["separate", "{4,3,2}", "{8,6,4,2}"]
    assert table.sections[0].about.startswith(
        "published: CIFAR-10, 200 epochs, batch 128, 1 V100 · reproduced: embedded digits"
    )


def test_published_savings_are_printed_and_recomputed(folder: Path):
    table = build(Frames.read(folder))
    assert texts(line(table, "{4,3,2}"))[:3] == ["0.7", "28.6", "22.2"]
    assert texts(line(table, "{8,6,4,2}"))[:3] == ["0.8", "12.5", "11.1"]


def test_reproduced_savings_compare_one_joint_training_with_the_sum_of_its_bit_widths(folder: Path):
    table = build(Frames.read(folder))
    joint = (30 * 4**0.9 + 1) / 60
    average, total, separate, of_joint, of_separate = map(
        float, texts(line(table, "{8,6,4,2}"))[3:8]
    )
    assert average == pytest.approx(joint / 4, abs=0.005)
    assert total == pytest.approx(joint, abs=0.005)
    assert separate == 2.0
    assert of_joint == pytest.approx(100 * (2 - joint) / joint, abs=0.05)
    assert of_separate == pytest.approx(100 * (2 - joint) / 2, abs=0.05)
    assert table.sections[0].groups[2].title == "reproduced, CPU minutes"


def test_long_trainings_are_printed_in_hours(folder: Path):
    frames = Frames.read(folder)
    frames.runs["train_time_s"] *= 3600
    assert build(frames).sections[0].groups[2].title == "reproduced, CPU hours"


def test_times_of_different_devices_give_no_saving(folder: Path):
    frames = Frames.read(folder)
    frames.runs.loc[frames.runs.bitset == "{2}", "device_name"] = "Epyc"
    table = build(frames)
    assert texts(line(table, "{4,3,2}"))[6:8] == [DASH, DASH]
    assert "different devices: Epyc, 1 thread; Xeon, 1 thread" in table.footnotes[0][1]


def test_times_of_gpus_are_gpu_hours(folder: Path):
    frames = Frames.read(folder)
    frames.runs["time_kind"] = "wall"
    frames.runs["train_time_s"] *= 3600
    assert build(frames).sections[0].groups[2].title == "reproduced, GPU hours"


def metered(folder: Path, joules: float = 3600.0, **changes: object) -> Frames:
    """Return results whose joint trainings took 0, 1 and 2 times ``joules`` more than others."""
    frames = Frames.read(folder)
    about = {"energy_source": "GPU", "energy_shared": False, "train_energy_j": joules} | changes
    runs = frames.runs.assign(**about)
    runs.loc[runs.bitset.str.contains(","), "train_energy_j"] += joules * runs.seed
    return replace(frames, runs=runs)


def test_energy_stands_beside_the_times(folder: Path):
    table = build(metered(folder))
    assert table.sections[0].groups[-1].title == "energy, Wh"
    assert texts(line(table, "{8,6,4,2}"))[-2:] == ["2", "4"]
    assert texts(line(table, "{4,3,2}"))[-2:] == ["2", "3"]
    assert not table.footnotes
    table = build(metered(folder, 3.6e6))
    assert table.sections[0].groups[-1].title == "energy, kWh"
    assert texts(line(table, "{4,3,2}"))[-2:] == ["2", "3"]


def test_energy_that_others_had_a_part_in_says_so(folder: Path):
    table = build(metered(folder, energy_shared=True))
    entry = line(table, "{4,3,2}").entries[-1]
    assert (entry.text, entry.marks) == ("3", ("a",))
    assert "other processes were at work on the same device" in table.footnotes[0][1]


def test_energy_that_is_not_known_is_a_dash_with_its_reason(folder: Path):
    frames = metered(folder)
    alone = frames.runs.bitset == "{3}"
    frames.runs.loc[alone, ["train_energy_j", "no_energy"]] = [None, "no counter"]
    table = build(frames)
    assert texts(line(table, "{4,3,2}"))[-2:] == ["2", DASH]
    assert table.footnotes == (("a", "energy is not known: no counter"),)
    assert texts(line(table, "{8,6,4,2}"))[-1] == "4"


def test_energies_of_different_counters_do_not_add_up(folder: Path):
    frames = metered(folder)
    frames.runs.loc[frames.runs.bitset == "{3}", "energy_source"] = "processor packages"
    table = build(frames)
    assert texts(line(table, "{4,3,2}"))[-2:] == ["2", DASH]
    assert "by different counters: GPU and processor packages" in table.footnotes[0][1]


def test_what_is_incomplete_is_a_dash(folder: Path):
    frames = Frames.read(folder)
    frames.runs.loc[frames.runs.bitset == "{3}", ["status", "train_time_s"]] = ["missing", None]
    table = build(frames)
    assert texts(line(table, "separate"))[3] == DASH
    assert texts(line(table, "{4,3,2}"))[5:8] == [DASH, DASH, DASH]
    assert DASH not in texts(line(table, "{8,6,4,2}"))[:8]


def test_networks_that_were_not_timed_say_so(folder: Path):
    section = build(Frames.read(folder)).sections[1]
    assert section.about.endswith("reproduced: – not in this suite")  # noqa: RUF001
    assert not any(entry.text for one in section.lines for entry in one.entries[3:])


def test_every_network_that_is_trained_stands_in_the_table():
    network = {"title": "One", "published": "resnet20", **NETWORK}
    networks = {
        "resnet20": network,
        "again": network | {"title": "Again"},
        "mine": {"title": "Mine", "published": "mine", **NETWORK},
        "yours": {"title": "Yours", "published": "mine", **NETWORK},
    }
    experiments = {
        key: EXPERIMENTS[key] | {"networks": list(networks)} for key in ("alrs", "separate")
    }
    frames = collect.collect(make_suite(networks=networks, experiments=experiments), Path("none"))
    titles = [section.title for section in build(frames).sections]
    assert titles == ["One", "ResNet-18", "ResNet-50", "Again", "Mine", "Yours"]
