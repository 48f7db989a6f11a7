"""What the guide to running the paper says can be typed, and it counts as the suites do."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click import Context, Group
from snakemake.cli import get_argument_parser
from typer.main import get_command

from bitswitch.cli.app import app
from bitswitch.suite.suite import load_suite, suite_path
from tests.workflow.test_stranger import blocks

GUIDE = Path("docs/howto/run-the-paper.md")
TEXT = GUIDE.read_text()
BLOCKS = blocks(GUIDE)
LINES = [line for block in BLOCKS if block.language == "sh" for line in block.content.splitlines()]


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


def lines_of(program):
    return [line for line in LINES if line.split()[0] == program]


def test_every_line_is_of_a_known_program():
    known = ("bitswitch", "snakemake", "make")
    others = [line for line in LINES if line.split()[0] not in known]
    assert [line.split()[0] for line in others] == ["export"]


@pytest.mark.parametrize("line", lines_of("bitswitch"))
def test_commands_take_these_arguments(line):
    command, words = get_command(app), shlex.split(line)[1:]
    context = Context(command)
    while isinstance(command, Group):
        name, command, words = command.resolve_command(context, words)
        context = Context(command, info_name=name, parent=context)
    command.make_context(command.name, words)


@pytest.mark.parametrize("line", lines_of("snakemake"))
def test_builds_take_these_settings(line):
    words = shlex.split(line)[1:]
    plain = [word for word in words if not word.startswith(("--profile", "profiles/"))]
    arguments = get_argument_parser().parse_args(plain)
    settings = yaml.safe_load(Path("config/config.yaml").read_text())
    given = dict(pair.split("=") for pair in words if "=" in pair)
    assert arguments.cores is not None
    assert given.keys() <= settings.keys()
    assert given["suite"] in SUITES or suite_path(given["suite"]).exists()
    for profile in [one for one in words if one.startswith("profiles/")]:
        assert Path(profile, "config.yaml").exists()


@pytest.mark.parametrize("line", lines_of("make"))
def test_make_knows_these_targets(line):
    assert re.search(rf"^{line.split()[1]}:", Path("Makefile").read_text(), flags=re.MULTILINE)


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
