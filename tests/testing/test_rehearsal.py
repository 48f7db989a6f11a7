"""All files of a suite of made-up data, in the formats of real ones, and good enough to use."""

import pytest
import torch
from typer.testing import CliRunner

from bitswitch.cli.app import app
from bitswitch.errors import DatasetError, SpecError
from bitswitch.plugins import facts
from bitswitch.plugins.registry import create
from bitswitch.results.records import read_run
from bitswitch.stages import train
from bitswitch.suite.suite import Suite, read_suite, suite_path
from bitswitch.testing import made_up as making
from bitswitch.testing import rehearsal
from bitswitch.training.build import Parts
from bitswitch.training.pretrained import check_pretrained

CPU = torch.device("cpu")
WEIGHTS = "data/made-up/weights/resnet18-f37072fd.pth"


@pytest.fixture(scope="module")
def suite():
    """Return `rehearsal` with one table on each kind of pictures."""
    whole = read_suite(suite_path("rehearsal")).model_dump(mode="json", exclude_defaults=True)
    networks = ["resnet18", "resnet20", "mobilenetv2"]
    table = whole["experiments"]["conventional-rate"] | {"networks": networks}
    return Suite.model_validate(whole | {"experiments": {"conventional-rate": table}})


@pytest.fixture(scope="module")
def files(suite, tmp_path_factory):
    """Return a working folder with all files, and what was told."""
    folder, told = tmp_path_factory.mktemp("rehearsal"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(making, "CANVAS", 560)
        rehearsal.write_files(suite, folder / "data", told.append)
    return folder, told


def test_everything_is_made_up_where_it_is_looked_for(suite, files, monkeypatch):
    folder, told = files
    monkeypatch.chdir(folder)
    assert any(WEIGHTS in line for line in told)
    for choice in suite.datasets.values():
        dataset = create("datasets", choice.name, choice.options)
        dataset.prepare(folder / "data")
        found = dataset.check(folder / "data")
        assert found["made_up"].startswith("Random noise")
        assert "noise" in dataset.stamp
        opened = dataset.open(folder / "data", CPU)
        assert dataset.sizes() == {split: opened.size(split) for split in dataset.sizes()}
    again = []
    rehearsal.write_files(suite, folder / "data", again.append)
    assert [line.partition(": ")[0] for line in again] == ["there already"] * len(told)


def test_weights_have_the_names_of_the_published_ones_and_are_no_guess(suite, files, monkeypatch):
    folder, _ = files
    monkeypatch.chdir(folder)
    state = torch.load(folder / WEIGHTS, weights_only=True)
    assert state["layer4.1.bn2.running_var"].shape == (128,)
    run = next(run for run in suite.runs.values() if run.model.name == "resnet18")
    parts = Parts.of(run)
    net, opened = parts.float_net(), parts.dataset.open(folder / "data", CPU)
    check_pretrained(net, run, parts.dataset.task, parts.dataset.outputs, opened, CPU)


def test_a_run_is_two_steps_that_say_what_they_saw(suite, files, monkeypatch):
    folder, _ = files
    monkeypatch.chdir(folder)
    run = next(run for run in suite.runs.values() if run.is_float)
    train(run, folder / "results", folder / "data")
    record = read_run(folder / "results" / "runs" / run.run_id)
    assert len(record.epochs) == 2
    assert "Random noise" in str(record.provenance)
    assert record.result.status == "complete", "on noise, none collapses"
    assert facts.dataset_facts(run.dataset.name, run.dataset.options)["chance_bound"] is None


def test_what_is_read_packed_is_packed(suite, files):
    folder, told = files
    (choice,) = (choice for choice in suite.datasets.values() if "packed" in choice.options)
    packed = folder / "data/made-up/imagenet-packed" / choice.options["packed"]
    assert f"packed: {packed}" in told
    opened = create("datasets", choice.name, choice.options).open(folder / "data", CPU)
    assert opened.size("train") == 8


def test_suites_of_real_data_are_not_made_up(tmp_path):
    with pytest.raises(SpecError, match="Suite 'mini' takes real data, which are not made up"):
        rehearsal.write_files(read_suite(suite_path("mini")), tmp_path, print)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("imagenet", {"held_out": 1000, "made_up": {"classes": 2, "per_class": 3}}),
        ("cifar10", {"made_up": {"classes": 2, "per_class": 1}}),
    ],
)
def test_noise_that_is_not_there_is_one_message(tmp_path, name, options):
    dataset = create("datasets", name, options)
    for use in (dataset.prepare, dataset.check):
        with pytest.raises(DatasetError) as error:
            use(tmp_path)
        assert str(tmp_path / "made-up" / name) in str(error.value)
        assert "bitswitch data fake --suite SUITE" in str(error.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imagenet", {"made_up": {"classes": 1001, "per_class": 20}}, "ImageNet has 1000"),
        ("imagenet", {"made_up": {"classes": 2, "per_class": 10}}, "none is left to train on"),
        ("cifar10", {"made_up": {"classes": 11, "per_class": 1}}, "CIFAR-10 has 10"),
    ],
)
def test_noise_of_impossible_size_is_refused(name, options, message):
    with pytest.raises(SpecError, match=message):
        create("datasets", name, options)


def test_other_noise_than_the_suite_asks_for_is_refused(suite, files):
    folder, _ = files
    dataset = create("datasets", "cifar10", {"made_up": {"classes": 4, "per_class": 2}})
    with pytest.raises(DatasetError, match=r"20 images instead of 40.*\n  delete this folder"):
        dataset.prepare(folder / "data")


def test_the_command_wants_a_dataset_or_a_suite(tmp_path):
    answer = CliRunner().invoke(app, ["data", "fake", "--to", str(tmp_path)])
    assert "Name a dataset and its folder" in str(answer.exception)


@pytest.mark.parametrize("name", ["imagenet", "cifar10"])
def test_real_data_keep_their_identity(name):
    assert "made_up" not in create("datasets", name, {}).options.model_dump()
