"""Snakemake with the profile for Slurm, in a folder of its own."""

from pathlib import Path

import pytest
import yaml

from bitswitch.suite.suite import load_suite
from tests.workflow.conftest import SUITE

TOP = Path(__file__).resolve().parents[2]
PROFILES = TOP / "profiles"


class Folder:
    """A working folder with a suite, without anything odd in its name: Slurm's jobs read it too."""

    def __init__(self, path, content):
        self.path = path
        self.suite_file = path / "config" / "suites" / f"{content['name']}.yaml"
        self.suite_file.parent.mkdir(parents=True)
        self.suite_file.write_text(yaml.safe_dump(content))
        (path / "config" / "experiments.yaml").symlink_to(TOP / "config" / "experiments.yaml")

    @property
    def suite(self):
        return load_suite(self.suite_file)

    @property
    def snakemake(self):
        """The command, up to its targets and options."""
        return ["snakemake", "--snakefile", str(TOP / "Snakefile"), "--cores", "8", "all"]

    @property
    def config(self):
        """What comes last."""
        return ["--config", f"suite={self.suite_file.relative_to(self.path)}"]


@pytest.fixture
def tiny(tmp_path):
    return Folder(tmp_path / "tiny", SUITE)
