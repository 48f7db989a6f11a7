"""The ways to install the package agree with each other and with what is installed here."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.parse
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

TOP = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = {
    requirement.name: requirement
    for requirement in map(Requirement, [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["docs"]])
    if requirement.name != PROJECT["name"]
}
OPTIONAL = {requirement.name: requirement for requirement in map(Requirement, EXTRAS["llm"])}
PINS = {
    requirement.name: requirement
    for requirement in map(
        Requirement,
        (line for line in (TOP / "constraints.txt").read_text().splitlines() if line[0] != "#"),
    )
}
CONDA = yaml.safe_load((TOP / "environment.yml").read_text())


def exact(requirement):
    """Return the one version that ``requirement`` allows."""
    (only,) = requirement.specifier
    assert only.operator == "=="
    return only.version


def test_every_dependency_is_pinned_inside_its_range():
    assert set(WANTED) <= set(PINS)
    for name, wanted in WANTED.items():
        assert wanted.specifier.contains(exact(PINS[name])), name


def test_developers_have_what_builds_the_documents():
    assert f"{PROJECT['name']}[docs]" in EXTRAS["dev"]


def test_pins_are_what_is_installed_here():
    if Version(version("torch")).public != exact(PINS["torch"]):
        pytest.skip("this environment was not made by make")
    installed = {name: Version(version(name)).public for name in PINS}  # 2.15.0, be it +cpu or not
    assert {name: exact(pin) for name, pin in PINS.items()} == installed


def test_whatever_snakemake_brings_for_plugins_is_pinned():
    brought = [line for line in PINS if line.startswith("snakemake-interface-")]
    assert len(brought) >= 5


def test_what_is_optional_is_in_its_range_where_it_is_installed():
    for name, wanted in OPTIONAL.items():
        try:
            assert wanted.specifier.contains(version(name)), name
        except PackageNotFoundError:
            continue


def test_no_module_needs_what_is_optional():
    """Only functions import it, when they are called."""
    names = {name.replace("-", "_") for name in OPTIONAL}
    for path in (TOP / "bitswitch").rglob("*.py"):
        for line in ast.parse(path.read_text()).body:
            if isinstance(line, ast.Import | ast.ImportFrom):
                origins = [line.module or ""] if isinstance(line, ast.ImportFrom) else []
                origins += [part.name for part in line.names]
                assert not names & {origin.split(".")[0] for origin in origins}, path


def test_conda_installs_the_same_package():
    (pip,) = (part["pip"] for part in CONDA["dependencies"] if isinstance(part, dict))
    assert pip[-1] == "-e ."
    assert {line.name: line for line in map(Requirement, pip[:-1])} == PINS


def test_conda_has_a_python_that_the_package_takes():
    (python,) = (part for part in CONDA["dependencies"] if str(part).startswith("python="))
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert [int(x) for x in python.removeprefix("python=").split(".")] >= [
        int(x) for x in lowest.split(".")
    ]


@pytest.mark.parametrize("name", ["constraints.txt", "environment.yml"])
def test_no_host_is_named(name):
    text = (TOP / name).read_text()
    assert not re.search(r"://|index-url|find-links| @ ", text)


def make(*arguments, **variables):
    command = ["make", "--dry-run", *arguments, *(f"{k}={v}" for k, v in variables.items())]
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout


def test_make_all_is_the_command_a_user_types():
    assert '\nsnakemake --cores "$CORES" all\n' in "\n" + make("all").replace(" \n", "\n")
    assert '--config suite="$SUITE"' in make("all", SUITE="smoke")


def test_make_quick_fills_the_cells_that_come_first_in_make_all():
    first = yaml.safe_load((TOP / "config" / "config.yaml").read_text())["first"]
    command = 'snakemake --cores "$CORES" html --config cells="$FIRST" '
    assert command in make("quick")
    assert f'{command}suite="$SUITE"' in make("quick", SUITE="smoke")
    assert f"FIRST := {first}\n" in make("quick", "--print-data-base")


def test_values_given_to_make_are_not_read_by_a_shell(tmp_path):
    """In an odd folder, with a Snakemake that shows its arguments."""
    folder = tmp_path / "a b(1) & 'c';touch X #~ü"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(TOP / "Makefile", folder)
    for name in ("pyproject.toml", "constraints.txt", ".venv/installed"):
        (folder / name).touch()
    snakemake = folder / ".venv" / "bin" / "snakemake"
    snakemake.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    snakemake.chmod(0o755)
    command = ["make", "all", "SUITE=x;touch X.yaml", "CORES=2;touch X"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "<--cores><2;touch X><all><--config><suite=x;touch X.yaml>" in answer.stdout
    assert not list(folder.glob("X*"))


@pytest.mark.parametrize("name", ["a:b", "a $b", 'a "b"'])
def test_folders_in_which_no_environment_works_are_refused(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(TOP / file, folder)
    answer = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "rename the folder" in answer.stderr
    assert not (folder / ".venv").exists()


@pytest.fixture
def installing(tmp_path):
    """A clone whose Python says what it is asked, and installs torch beside it for real."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(TOP / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/asked
case "$*" in *--index-url*) exec {sys.executable} "$@" --target {tmp_path}/site; esac
"""
    )
    python.chmod(0o755)

    alone = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    alone["PIP_CONFIG_FILE"] = os.devnull  # no other index than those that are named

    def install(*arguments):
        command = ["make", "env", f"PYTHON={sys.executable}", *arguments]
        answer = subprocess.run(
            command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
        )
        asked = tmp_path / "asked"
        return answer, asked.read_text().splitlines() if asked.exists() else []

    return install


def index(folder, *builds):
    """Write an index of packages that hold nothing."""
    for name, number in builds:
        place = folder / name
        place.mkdir(parents=True)
        wheel = f"{name}-{number}-py3-none-any.whl"
        about = f"{name}-{number}.dist-info"
        with zipfile.ZipFile(place / wheel, "w") as file:
            file.writestr(
                f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n"
            )
            file.writestr(
                f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            file.writestr(f"{about}/RECORD", "")
        link = urllib.parse.quote(wheel)
        (place / "index.html").write_text(f'<a href="{link}">{wheel}</a>')
    return folder.as_uri()


def test_torch_for_processors_alone_comes_from_an_index_of_its_own(installing, tmp_path):
    pinned = [(name, f"{exact(PINS[name])}+cpu") for name in ("torch", "torchvision")]
    address = index(tmp_path / "index", *pinned)
    answer, asked = installing("TORCH=cpu", f"TORCH_INDEX={address}")
    assert answer.returncode == 0, answer.stderr
    assert "the default one is installed" not in answer.stderr
    found = {path.name for path in (tmp_path / "site").glob("*.dist-info")}
    assert found == {f"{name}-{number}.dist-info" for name, number in pinned}
    assert asked[-1].endswith("--constraint constraints.txt --editable .[dev]")
    assert f"--index-url {address} torch torchvision" in asked[0]


def test_where_no_index_answers_the_default_torch_is_installed(installing, tmp_path):
    answer, asked = installing("TORCH=cpu", f"TORCH_INDEX=file://{tmp_path}/nothing")
    assert answer.returncode == 0, answer.stderr
    assert "the default one is installed" in answer.stderr
    assert asked[-1].endswith("--editable .[dev]")


def test_by_default_no_other_index_is_asked(installing):
    answer, asked = installing()
    assert answer.returncode == 0, answer.stderr
    assert len(asked) == 1
    assert "--index-url" not in asked[0]


def test_another_build_of_torch_is_refused(installing):
    answer, asked = installing("TORCH=rocm")
    assert answer.returncode != 0
    assert "TORCH=rocm is no build of torch that is known here" in answer.stderr
    assert not asked


def test_make_test_checks_and_runs_everything():
    text = make("test")
    commands = ("ruff check", "mypy", "lint-imports", "codespell", "pytest", "suite=smoke")
    for command in (*commands, "mkdocs build"):
        assert command in text


def test_an_old_python_is_told_so(tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    command = ["make", "env", f"PYTHON={old}", f"VENV={tmp_path}/none"]
    answer = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer" in answer.stderr
    assert not (tmp_path / "none").exists()


def test_continuous_integration_runs_make_test():
    script = (TOP / ".ci" / "run").read_text()
    assert "exec make test" in script
    assert (TOP / ".ci" / "run").stat().st_mode & 0o111
