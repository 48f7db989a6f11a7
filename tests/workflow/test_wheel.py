"""The wheel alone, in an empty folder."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.commands import said

TOP = Path(__file__).resolve().parents[2]
SOURCES = (
    *("bitswitch", "snakemake_logger_plugin_bitswitch", "pyproject.toml", "README.md", "LICENSE"),
    *("Snakefile", "workflow", "config", "profiles", "report"),
)
TINY = {"name": "digits", "options": {"size": 8, "train": 64, "held_out": 20, "test": 40}}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder that holds the package as a wheel of the present sources installs it."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "installed"))
    for name in SOURCES:
        if (TOP / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(TOP / name, source / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(TOP / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    said(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", ".", cwd=source)
    (wheel,) = (source / "dist").glob("*.whl")
    said(*pip, "install", "--no-deps", "--target", target, wheel, cwd=source)
    shutil.rmtree(source)
    return target


@pytest.mark.slow
def test_the_wheel_makes_tables_and_a_report_in_an_empty_folder(installed, tmp_path):
    def type_in(*command):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return said(*command, cwd=tmp_path, PATH=path, PYTHONPATH=str(installed))

    assert "config/suites/my-suite.yaml" in type_in("bitswitch", "init", "my-suite")
    suite = tmp_path / "config" / "suites" / "my-suite.yaml"
    content = yaml.safe_load(suite.read_text())
    training = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
    content["networks"]["resnet8"] |= {
        "dataset": TINY,
        "float_training": training,
        "training": training,
    }
    suite.write_text(yaml.safe_dump(content))
    type_in("snakemake", "--cores", "8", "all")
    report = tmp_path / "results" / "my-suite"
    table = (report / "tables" / "methods.html").read_text()
    for variant in content["experiments"]["methods"]["variants"].values():
        assert f">{variant['title']}</span></th>" in table
    assert "<style>" in (report / "report.html").read_text()
    for provenance in tmp_path.glob("results/runs/*/provenance.json"):
        assert json.loads(provenance.read_text())["commit"] is None
