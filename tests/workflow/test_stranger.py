"""A package that knows bitswitch from the outside, installed as a stranger would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "tests" / "plugin_package"
HOW_TO = TOP / "docs" / "howto" / "add-a-method.md"
BITSWITCH = (sys.executable, "-c", "from bitswitch.cli import main; main()")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the package into a folder of its own; return the folder."""
    source = tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--target", target, source]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def project_with(project, installed):
    """A project whose suite is the stranger's."""
    project.path.write_text((PACKAGE / "max-abs.yaml").read_text())

    def run(*arguments):
        return project.run([*BITSWITCH, *arguments], PYTHONPATH=str(installed))

    return project, run


def test_an_installed_method_is_listed_and_its_suite_valid(project_with):
    project, bitswitch = project_with
    assert "max-abs" in json.loads(bitswitch("plugins", "--json")[1])["methods"]
    code, text = bitswitch("validate", project.path)
    assert (code, text) == (0, "max-abs: 3 table entries, 4 runs, valid\n")


def test_its_options_are_checked_like_any_other(project_with):
    project, bitswitch = project_with
    project.path.write_text(project.path.read_text().replace("headroom", "headrom"))
    code, text = bitswitch("validate", project.path)
    assert code == 2
    assert "Did you mean 'headroom'?" in text


def test_without_the_package_the_message_says_what_to_do(project):
    project.path.write_text((PACKAGE / "max-abs.yaml").read_text())
    code, text = project.run([*BITSWITCH, "validate", project.path])
    assert code == 2
    assert "No plugin 'max-abs'" in text
    assert "install its package again" in text


@pytest.mark.slow
def test_its_runs_stand_in_the_table(project_with, installed):
    project, _ = project_with
    code, text = project.snakemake(PYTHONPATH=str(installed))
    assert code == 0, text
    table = (project.folder / "results" / "max-abs" / "tables" / "weights.html").read_text()
    assert "max-abs clipped" in table
    assert "not run" not in table


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".toml", ".yaml")],
)
def test_the_how_to_shows_the_tested_files(path):
    assert f"\n{path.read_text().rstrip()}\n```" in HOW_TO.read_text(), (
        f"{HOW_TO} must show {path.relative_to(TOP)} as it is"
    )


def test_the_quantizer_trains_what_it_deploys(installed):
    script = """
import torch
from bitswitch_max_abs import MaxAbsQuantizer
from bitswitch.quant.quantizer import Width
for weight in (torch.randn(4, 3, 3, 3), torch.zeros(4, 3), torch.tensor([-2.0])):
    for bits in (8, 4, 2):
        width, quantizer = Width.of(bits, (8, 4, 2)), MaxAbsQuantizer(0.9)
        assert torch.equal(quantizer(weight, width), quantizer.encode(weight, width).decode())
"""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
