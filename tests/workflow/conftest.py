"""Snakemake, run as a user runs it, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitswitch.runtime.cache import digest
from bitswitch.suite.suite import load_suite

TOP = Path(__file__).resolve().parents[2]

ODD = '-it\'s {x} & $HOME;touch X;$(touch X)`touch X`(1) "ü" %#~'
"""A folder whose name a shell, Snakemake and TeX would all like to read as something else."""

DIGITS = {"name": "digits", "options": {"size": 8, "train": 64, "held_out": 20, "test": 40}}
TRAINING = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
SUITE = {
    "name": "tiny",
    "title": "a suite for tests",
    "data": "embedded",
    "seeds": [0],
    "networks": {
        "resnet20": {
            "title": "ResNet-20",
            "published": "resnet20",
            "model": "resnet8",
            "dataset": DIGITS,
            "bitsets": [[8, 6, 4, 2]],
            "float_training": TRAINING,
            "training": TRAINING,
        }
    },
    "experiments": {"alrs": {"networks": ["resnet20"]}},
}


class Project:
    """A working folder with one suite, sharing the repository's rules."""

    def __init__(self, folder, cache):
        self.folder = folder
        self.data = f"data {ODD}"
        self.path = folder / "config" / "suites" / "tiny.yaml"
        self.path.parent.mkdir(parents=True)
        (folder / "config" / "experiments.yaml").symlink_to(TOP / "config" / "experiments.yaml")
        (folder / ".cache").symlink_to(cache)
        self.write(SUITE)

    def write(self, content):
        """Make ``content`` the suite."""
        self.path.write_text(yaml.safe_dump(content))

    def change(self, **changes):
        """Replace top-level keys of the suite."""
        self.write({**self.suite, **changes})

    @property
    def runs(self):
        """The suite's runs by id."""
        return load_suite(self.path).runs

    @property
    def suite(self):
        """The content of the suite file."""
        return yaml.safe_load(self.path.read_text())

    def command(self, *arguments):
        """Return the command line of Snakemake for the suite."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", TOP / "Snakefile"]
        return [*command, *arguments, "--config", f"suite={self.path}", f"data={self.data}"]

    def snakemake(self, *arguments, config="", **environment):
        """Build the suite, or do what ``arguments`` say; return exit code and output."""
        command = self.command("--cores", "8", "all", *arguments)
        return self.run([*command, *config.split()], **environment)

    def run(self, command, **environment):
        """Run ``command`` in the folder."""
        answer = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return answer.returncode, answer.stdout

    def planned(self, config=""):
        """Return the ids of the runs that would be trained now."""
        code, text = self.snakemake("--dry-run", config=config)
        assert code == 0, text
        return {line.split("run=")[1] for line in text.splitlines() if "wildcards: run=" in line}

    def pretend(self):
        """Make every training run look complete."""
        for marker in self.markers():
            self._touch(marker)
        for run_id in self.runs:
            folder = self.folder / "results" / "runs" / run_id
            self._touch(folder / "result.json")
            self._touch(folder / "metrics.jsonl")

    def markers(self):
        """Return the files that say which datasets are ready."""
        folder = self.folder / "results" / "data" / digest(self.data)[:8]
        return [folder / f"{choice}.json" for choice in load_suite(self.path).datasets]

    def _touch(self, path):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path, cache):
    return Project(tmp_path / ODD, cache)
