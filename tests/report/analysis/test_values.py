"""Tests of ``bitswitch.report.analysis.values``."""

from pathlib import Path

import pytest

from bitswitch.report.analysis.values import Place, Values, paired
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.suite.suite import Suite
from bitswitch.suite.variants import NetworkSpec
from tests.report.conftest import NETWORK, alrs_of, make_suite, write_run


def test_samples_hold_every_seed(folder: Path):
    values = Values(Frames.read(folder), "alrs")
    sample = values.samples["resnet20"][Place("with-alrs", "{8,6,4,2}", "2")]
    assert sorted(sample.values) == [0, 1, 2]
    assert sample.failed == ()
    assert sample.images == 1000


def test_printed_values_belong_to_their_experiment_only(folder: Path):
    frames = Frames.read(folder)
    printed = Values(frames, "alrs").printed["resnet20"]
    assert printed[Place("without-alrs", "{4,3,2}", "3")] == 90.98
    assert Values(frames, "readings").printed == {}


def test_shares_are_empty_where_nothing_turned_negative(folder: Path):
    frames = Frames.read(folder)
    assert Values(frames, "alrs").negative_shares == {}
    shares = Values(frames, "readings").negative_shares["resnet20"]
    assert shares[Place("literal", "{8,6,4,2}", "2")] == pytest.approx(0.7)
    assert shares[Place("relative", "{8,6,4,2}", "2")] == 0.0


def test_networks_stand_in_the_order_of_the_printed_table(folder: Path):
    networks = Values(Frames.read(folder), "alrs").networks
    assert [network.title for network in networks] == [
        "ResNet-20",
        "ResNet-18",
        "ResNet-50",
        "MobileNetV2",
    ]
    assert [network.name for network in networks] == ["resnet20", None, None, None]
    assert networks[0].incomparable == "embedded data"


def test_a_second_network_published_as_the_same_model_stands_alone():
    same = {"title": "R", "published": "resnet20", **NETWORK}
    networks = {name: NetworkSpec.model_validate(same) for name in ("one", "other")}
    assert paired(networks, ["resnet18", "resnet20", "resnet20"]) == [
        (None, "resnet18"),
        ("one", "resnet20"),
        ("other", None),
    ]


def test_published_scale_is_comparable_on_the_same_data_only(published_suite: Suite, results: Path):
    network = Values(collect.collect(published_suite, results), "alrs").networks[0]
    assert network.incomparable is None
    other = make_suite(
        data="published",
        networks={"resnet20": {"title": "R", "published": "resnet20", **NETWORK}},
    )
    network = Values(collect.collect(other, results), "alrs").networks[0]
    assert network.incomparable == "digits is not cifar10"


def test_failed_seeds_keep_status_reason_and_value(suite: Suite, results: Path):
    for run in suite.runs.values():
        bad = alrs_of(run) == "literal" and run.seed == 1
        changes = {"status": "collapsed", "diagnosis": "at chance"} if bad else {}
        write_run(run, results, {2: 10.0} if bad else {}, **changes)
    samples = Values(collect.collect(suite, results), "readings").samples["resnet20"]
    sample = samples[Place("literal", "{8,6,4,2}", "2")]
    assert sorted(sample.values) == [0, 2]
    (status, reason, value), *others = sample.failed
    assert (status, reason, others) == ("collapsed", "at chance", [])
    assert value == 10.0
    assert (sample.count, sample.is_whole) == ("(2 of 3)", False)
