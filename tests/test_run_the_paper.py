"""What the guide to running the paper counts is what the suites hold."""

import re
from pathlib import Path

import pytest
import yaml

from bitswitch.suite.suite import load_suite, suite_path
from tests.workflow.test_stranger import blocks

GUIDE = Path("docs/howto/run-the-paper.md")
TEXT = GUIDE.read_text()
BLOCKS = blocks(GUIDE)
SUITES = {
    yaml.safe_load(block.content)["name"] + ".yaml": block.content
    for block in BLOCKS
    if block.language == "yaml"
}


@pytest.fixture(scope="module")
def suites(tmp_path_factory):
    """Return the suites that the reader writes, by file."""
    folder = tmp_path_factory.mktemp("guide")
    for name, content in SUITES.items():
        (folder / name).write_text(content)
    return {name: load_suite(folder / name) for name in SUITES}


def test_table_4_has_the_runs_that_are_said(suites):
    whole, small = suites["table4.yaml"], suites["table4-resnet20.yaml"]
    networks = [run.model.name for run in whole.runs.values()]
    assert f"{len(networks)} runs, of which {networks.count('resnet20')} are ResNet-20" in TEXT
    assert set(whole.experiments) == {"alrs"}
    assert set(small.runs) == {name for name in whole.runs if "resnet20" in name}


def test_the_rehearsal_has_the_jobs_that_are_said():
    suite = load_suite(suite_path("rehearsal"))
    said = " ".join(TEXT.split())
    counts = (
        len(suite.runs),
        len(suite.searches),
        len(suite.sensitivities),
        len(suite.deployments),
    )
    assert (
        "each of the {} runs, {} searches, {} sensitivities, {} deployments".format(*counts) in said
    )


def test_weights_are_called_as_the_networks_look_for_them():
    from bitswitch.plugins.registry import create

    for name in ("resnet18", "resnet50", "mobilenetv2"):
        file = create("models", name, {"weights": "imagenet"})._file()
        assert f"`{file.path.name}`" in TEXT


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (GUIDE.parent / link).exists(), link
