import re
from pathlib import Path

import pytest

from bitswitch.assets import asset
from bitswitch.errors import SpecError
from bitswitch.runtime import cache
from bitswitch.scaffold import project
from bitswitch.scaffold.project import new_project, rendered
from bitswitch.spec.yaml_text import parse
from bitswitch.suite.suite import load_suite, suite_path

WRITTEN = {
    "Snakefile",
    "README.md",
    "config/config.yaml",
    "config/suites/my-suite.yaml",
    *(f"profiles/{path.parent.name}/{path.name}" for path in asset("profiles").glob("*/*.yaml")),
}


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_that_snakemake_needs_is_written(tmp_path):
    folder = tmp_path / "new" / "place"
    assert {str(path.relative_to(folder)) for path in new_project("my-suite", folder)} == WRITTEN
    assert files(folder) == WRITTEN
    assert parse((folder / "config/config.yaml").read_text())["suite"] == "my-suite"
    assert not any("{{" in text or "NAME.yaml" in text for text in rendered("my-suite").values())


def test_its_suite_is_valid_and_small(tmp_path):
    new_project("my-suite", tmp_path)
    suite = load_suite(tmp_path / "config/suites/my-suite.yaml")
    assert suite.name == "my-suite"
    assert len(suite.runs) == 3
    assert all(run.training.epochs <= 10 for run in suite.runs.values())


def test_the_readme_lines_its_commands_up():
    for name in ("a", "my-longer-suite"):
        (block,) = re.findall(r"```\n(.*?)```", rendered(name)["README.md"], flags=re.DOTALL)
        assert len({line.index("#") for line in block.splitlines()}) == 1


@pytest.mark.parametrize("taken", sorted(WRITTEN))
def test_nothing_is_overwritten(tmp_path, taken):
    path = tmp_path / taken
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(SpecError, match="is left alone; nothing was written") as caught:
        new_project("my-suite", tmp_path)
    assert str(path) in str(caught.value)
    assert files(tmp_path) == {taken}
    assert path.read_text() == "mine"


def test_other_files_may_be_there(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "notes.txt").write_text("mine")
    new_project("my-suite", tmp_path)
    assert files(tmp_path) == {*WRITTEN, "config/notes.txt"}


@pytest.mark.parametrize("name", ["", "My-Suite", "a b", "../up", "runs", "data"])
def test_a_bad_name_is_one_message(tmp_path, name):
    with pytest.raises(SpecError, match="cannot be the name of a suite") as caught:
        new_project(name, tmp_path)
    assert len(str(caught.value).splitlines()) == 2
    assert not list(tmp_path.iterdir())


def test_half_a_project_is_never_seen(tmp_path, monkeypatch):
    impossible = {"README.md": "half", "README.md/impossible": "below a file"}
    monkeypatch.setattr(project, "rendered", lambda name: impossible)
    with pytest.raises(OSError, match="README"):
        new_project("my-suite", tmp_path)
    assert not list(tmp_path.iterdir())


def test_suites_and_experiments_of_the_package_are_found_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", cache.FOLDER.absolute())
    monkeypatch.chdir(tmp_path)
    assert suite_path("smoke") == asset("config", "suites", "smoke.yaml")
    with pytest.raises(
        SpecError,
        match=r"no suite .unknown.\.\n  known: cifar10, language, mini, paper, rehearsal, smoke, ",
    ):
        suite_path("unknown")
    new_project("smoke", tmp_path)
    assert suite_path("smoke") == Path("config/suites/smoke.yaml")
    text = suite_path("smoke").read_text().partition("experiments:")[0]
    suite_path("smoke").write_text(f"{text}experiments: {{alrs: {{networks: [resnet8]}}}}\n")
    assert load_suite(suite_path("smoke")).experiments["alrs"].title.startswith("Table 4")
