"""Every check of a machine: what it says where something is missing or does not work."""

import errno
import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from bitswitch import doctor
from bitswitch.doctor import data, folder, installation, machine, programs
from bitswitch.doctor.finding import Finding
from bitswitch.errors import LockError
from bitswitch.runtime.cache import digest
from bitswitch.runtime.gpus import VISIBLE
from tests.cli.test_app import HEAVY

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only(findings):
    (finding,) = findings
    return finding


def wrong(findings):
    """Return the one finding that something is not as it should be."""
    return only(finding for finding in findings if finding.state != "ok")


def test_another_python_is_needed(monkeypatch):
    monkeypatch.setattr(installation.platform, "python_version", lambda: "3.9.1")
    finding = only(installation.python())
    assert (finding.state, finding.stops) == ("broken", True)
    assert "3.9.1" in finding.found
    assert "PYTHON=" in finding.mend


def without(monkeypatch, name, found=None):
    """Let package ``name`` be absent, or have version ``found``."""

    def changed(asked):
        if asked != name:
            return version(asked)
        if found is None:
            raise PackageNotFoundError(asked)
        return found

    monkeypatch.setattr(installation, "version", changed)


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [(None, "missing", "torch is not installed"), ("1.0", "broken", "torch is 1.0, not ")],
)
def test_a_package_is_missing_or_has_another_version(monkeypatch, found, state, said):
    without(monkeypatch, "torch", found)
    finding = only(installation.packages())
    assert (finding.state, finding.stops) == (state, True)
    assert said in finding.found
    assert finding.mend.startswith(f"{sys.executable} -m pip install 'torch")


def test_only_what_is_always_needed_stops(monkeypatch):
    without(monkeypatch, "lm-eval")
    assert only(installation.packages()).state == "ok"
    (finding,) = (one for one in installation.extras() if one.what == "extra llm")
    assert (finding.state, finding.stops) == ("missing", False)
    assert "lm-eval" in finding.mend
    assert "bitswitch lm-eval" in finding.needed_by


def test_what_needs_an_extra_is_said_of_each():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert set(installation.EXTRAS) == set(project["optional-dependencies"])


def test_jobs_find_their_commands_beside_python(monkeypatch, working_folder):
    monkeypatch.setattr(sys, "executable", str(working_folder / "python"))
    (working_folder / "bitswitch").touch()
    finding = only(installation.commands())
    assert (finding.state, finding.stops) == ("missing", True)
    assert finding.found == f"no snakemake in {working_folder}"


@pytest.mark.parametrize(("cuda", "said"), [("None", "processors alone"), ("'13.2'", "CUDA 13.2")])
def test_torch_says_what_it_is_built_for_without_being_imported(
    monkeypatch, working_folder, cuda, said
):
    (working_folder / "version.py").write_text(f"cuda = {cuda}\n")
    (working_folder / "__init__.py").write_text("raise AssertionError\n")
    spec = SimpleNamespace(origin=str(working_folder / "__init__.py"))
    monkeypatch.setattr(installation, "find_spec", lambda name: spec)
    assert said in only(installation.torch_build()).found


@pytest.mark.parametrize(
    ("names", "cuda", "state", "said", "mend"),
    [
        ("", "13.2", "ok", "none here", ""),
        ("0,1", "13.2", "ok", "2 here", ""),
        ("0", None, "broken", "built for processors alone", "pip install --force-reinstall torch"),
        ("0,0", "13.2", "broken", "names one GPU twice", "unset CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_broken(monkeypatch, names, cuda, state, said, mend):
    monkeypatch.setenv(VISIBLE, names)
    monkeypatch.setattr(machine, "cuda_of_torch", lambda: cuda)
    finding = only(machine.gpu())
    assert (finding.state, finding.stops) == (state, state == "broken")
    assert said in finding.found
    assert mend in finding.mend


def test_no_gpu_is_missed_where_the_processor_is_set(monkeypatch, working_folder):
    (working_folder / "config").mkdir()
    (working_folder / "config" / "config.yaml").write_text("device: cpu\n")
    monkeypatch.setenv(VISIBLE, "0,0")
    assert only(machine.gpu()).state == "ok"


@pytest.mark.parametrize(
    ("free", "limit", "cpus", "state", "stops", "mend"),
    [
        (9000, "max", 2, "ok", False, ""),
        (2000, "max", 2, "broken", False, "--cores 2 all --resources mem_mb=2000"),
        (7000, "max", 64, "ok", False, ""),  # no more jobs run at once than Snakemake counts room
        (9000, "1000", 1, "broken", True, "ps aux"),
    ],
)
def test_memory_is_for_jobs_on_all_processors(
    monkeypatch, working_folder, free, limit, cpus, state, stops, mend
):
    written = {"MEMORY": f"MemFree: 1 kB\nMemAvailable: {free * 1024} kB\n", "GROUP_USED": "0"}
    written["GROUP_LIMIT"] = limit if limit == "max" else str(int(limit) * 2**20)
    for name, text in written.items():
        (working_folder / name).write_text(text)
        monkeypatch.setattr(machine, name, working_folder / name)
    monkeypatch.setattr(machine, "available_cpus", lambda: cpus)
    finding = only(machine.memory())
    assert (finding.state, finding.stops) == (state, stops)
    assert mend in finding.mend


def test_memory_is_counted_as_the_workflow_does():
    assert f'"mem_mb": {machine.JOB_MIB}' in (TOP / "workflow/rules/runs.smk").read_text()
    profile = yaml.safe_load((TOP / "profiles/default/config.yaml").read_text())
    assert profile["resources"]["mem_mb"] == machine.CLAIMED_MIB


def test_a_folder_that_cannot_be_written_stops(monkeypatch, working_folder):
    @contextmanager
    def refuse(dir, prefix):
        raise OSError(errno.EROFS, "Read-only file system")
        yield

    monkeypatch.setattr(folder, "TemporaryDirectory", refuse)
    finding = only(folder.findings())
    assert (finding.what, finding.state, finding.stops) == ("write rights", "broken", True)
    assert finding.found == f"cannot write in {working_folder}: Read-only file system"


def test_of_results_elsewhere_only_what_is_wrong_is_said(monkeypatch, working_folder):
    (working_folder / "results").mkdir()
    usual = len(list(folder.findings()))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room(path.name != "results"))
    findings = list(folder.findings())
    assert len(findings) == usual + 1
    assert str(working_folder / "results") in wrong(findings).mend
    assert sorted(path.name for path in working_folder.iterdir()) == ["results"]


def room(enough):
    return SimpleNamespace(free=2**40 if enough else 2**20)


def test_a_full_disk_stops(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room(enough=False))
    finding = wrong(folder.findings())
    assert (finding.what, finding.state, finding.stops) == ("disk", "broken", True)
    assert finding.found == "1 MiB free; 1.0 GiB are needed"


@pytest.mark.parametrize(("ahead", "said"), [(-60, "60 s ahead of"), (60, "60 s behind")])
def test_times_of_files_agree_with_the_clock(monkeypatch, ahead, said):
    now = folder.time.time
    monkeypatch.setattr(folder, "time", SimpleNamespace(time=lambda: now() + ahead))
    finding = wrong(folder.findings())
    assert (finding.what, finding.state, finding.stops) == ("clock", "broken", True)
    assert said in finding.found


def test_a_file_system_without_locks_is_named(monkeypatch):
    def refuse(path):
        raise LockError(f"The file system of {path.parent} has no file locks.")

    monkeypatch.setattr(folder, "try_lock", refuse)
    finding = wrong(folder.findings())
    assert (finding.what, finding.state, finding.stops) == ("file locks", "broken", False)
    assert "has no file locks" in finding.found
    assert "--directory" in finding.mend


def test_locks_that_keep_nobody_out_are_found(monkeypatch):
    monkeypatch.setattr(folder, "try_lock", lambda path: path.open("w"))
    assert "two hold one lock" in wrong(folder.findings()).found


@pytest.mark.parametrize(("names", "stops"), [("", False), ("0", True)])
def test_without_a_private_folder_no_gpu_can_be_claimed(monkeypatch, names, stops):
    def refuse():
        raise LockError("bitswitch-0 is no folder that only you can open.\n  Look at it.")

    assert only(machine.private_locks()).state == "ok"
    monkeypatch.setenv(VISIBLE, names)
    monkeypatch.setattr(machine, "private_folder", refuse)
    finding = only(machine.private_locks())
    assert (finding.state, finding.stops) == ("broken", stops)
    assert finding.found == "bitswitch-0 is no folder that only you can open."
    assert "TMPDIR" in finding.mend


def test_without_its_logger_snakemake_does_not_start(monkeypatch):
    assert only(installation.snakemake_plugins()).state == "ok"
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    finding = only(installation.snakemake_plugins())
    assert (finding.state, finding.stops) == ("missing", True)
    assert finding.mend.endswith(f"--editable {TOP}")


def test_without_tex_there_is_no_pdf(monkeypatch):
    monkeypatch.setattr(programs, "find_engine", lambda: None)
    finding = only(programs.tex())
    assert (finding.state, finding.stops) == ("missing", False)
    assert finding.mend.startswith("apt-get install --no-install-recommends latexmk")


def test_a_compiler_and_the_headers_of_python_compile_steps(monkeypatch, working_folder):
    header = working_folder / "Python.h"
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(working_folder))
    monkeypatch.setenv("CXX", sys.executable)
    assert only(programs.compiler()).mend.endswith("-dev")
    header.touch()
    assert only(programs.compiler()).state == "ok"
    monkeypatch.setenv("CXX", "no-such-compiler")
    finding = only(programs.compiler())
    assert (finding.state, finding.stops, finding.found) == (
        "missing",
        False,
        "no no-such-compiler",
    )
    assert finding.mend.endswith("g++; unset CXX")


def test_data_is_ready_once_its_check_was_passed(monkeypatch, working_folder):
    monkeypatch.setattr(data, "asset", lambda *parts: working_folder / "none")
    suites = working_folder / "config" / "suites"
    suites.mkdir(parents=True)
    (suites.parent / "config.yaml").write_text("data: elsewhere\n")
    networks = {"a": {"dataset": {"name": "pictures"}}, "b": {"dataset": "pictures"}}
    for name, kind in (("one", "embedded"), ("two", "published"), ("three", "published")):
        (suites / f"{name}.yaml").write_text(yaml.safe_dump({"data": kind, "networks": networks}))
    embedded, finding = data.findings()
    assert (embedded.state, embedded.found) == ("ok", "suites one make theirs")
    assert (finding.state, finding.stops) == ("missing", False)
    assert finding.needed_by == "suites three, two"
    assert finding.mend == "bitswitch data prepare --suite three --data elsewhere"
    ready = working_folder / "results" / "data" / digest("elsewhere")[:8]
    ready.mkdir(parents=True)
    note = ready / "pictures-0123abcd.json"
    note.write_text('{"pictures-0123abcd": {"made_up": "noise", "train": "8"}}')
    assert [one.state for one in data.findings()] == ["ok", "missing"]
    note.write_text('{"pictures-0123abcd": {"train": "50000"}}')
    assert [one.state for one in data.findings()] == ["ok", "ok"]


def test_noise_in_place_of_data_is_made_up(monkeypatch, working_folder):
    monkeypatch.setattr(data, "asset", lambda *parts: working_folder / "none")
    suites = working_folder / "config" / "suites"
    suites.mkdir(parents=True)
    real = {"data": "published", "networks": {"a": {"dataset": "pictures"}}}
    (suites / "real.yaml").write_text(yaml.safe_dump(real))
    noise = {"base": "real", "data": "made-up", "networks": {"a": {"dataset": {"options": {}}}}}
    (suites / "trial.yaml").write_text(yaml.safe_dump(noise))
    assert [finding.mend for finding in data.findings()] == [
        "bitswitch data prepare --suite real --data data",
    ]
    noise["networks"]["a"]["dataset"]["name"] = "pictures"
    (suites / "trial.yaml").write_text(yaml.safe_dump(noise))
    assert [finding.mend for finding in data.findings()] == [
        "bitswitch data prepare --suite real --data data",
        "bitswitch data fake --suite trial --to data",
    ]


def test_a_check_that_cannot_look_says_why_and_the_others_go_on(working_folder):
    suites = working_folder / "config" / "suites"
    suites.mkdir(parents=True)
    (suites / "odd.yaml").write_text("networks: {a: 1")
    findings = doctor.examine()
    (finding,) = (one for one in findings if one.what == "data")
    assert (finding.state, finding.stops) == ("broken", False)
    assert "odd.yaml" in finding.found
    assert {one.what for one in findings} >= {"python", "disk", "TeX", "compiler"}


FINE = Finding("one", "ok", "well", "all")
OPTIONAL = Finding("two", "missing", "no two", "some", "get two")
FATAL = Finding("three", "broken", "no three", "all", "get three", stops=True)


@pytest.mark.parametrize(
    ("findings", "code", "said"),
    [
        ([FINE, OPTIONAL], 0, "ready for make all; what is missing (1) is optional"),
        ([OPTIONAL, FATAL], 1, "make all cannot run before this is mended: three"),
    ],
)
def test_only_what_stops_make_all_is_a_failure(bitswitch, monkeypatch, findings, code, said):
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    found, out, _ = bitswitch("doctor")
    assert found == code
    assert "missing  two: no two\n         needed by some\n         get two\n" in out
    assert ("stops make all" in out) == (code == 1)
    assert out.splitlines()[-1] == said
    found, out, _ = bitswitch("doctor", "--json")
    assert found == code
    answer = json.loads(out)
    assert answer["ready"] == (code == 0)
    assert [Finding(**row) for row in answer["findings"]] == findings


def test_a_checkup_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from bitswitch.doctor import examine\n"
        "found = examine()\n"
        f"print('heavy:', *sorted({HEAVY!r} & set(sys.modules)))\n"
        "print(len(found))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy, count = answer.stdout.splitlines()[-2:]
    assert heavy == "heavy:"
    assert int(count) >= len(doctor.CHECKS)


def test_readme_names_the_command():
    assert "`bitswitch doctor`" in (TOP / "README.md").read_text()
