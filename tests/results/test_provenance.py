import json
import shutil
import subprocess
import sys

import pytest

from bitswitch.plugins import registry
from bitswitch.results import provenance
from bitswitch.results.provenance import (
    Provenance,
    code_hash,
    collect,
    commit,
    plugin_hashes,
    plugin_sources,
    sources,
)
from tests.conftest import TINY


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """Return the source file of an importable package of someone else."""
    package = tmp_path / "stranger_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    file = package / "method.py"
    file.write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return file


def test_code_hash_is_that_of_the_content():
    assert code_hash() == code_hash()
    assert len(code_hash()) == 16


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Return a function that edits a file of a copy of the package; hashes are the copy's."""
    folder = tmp_path / "bitswitch"
    shutil.copytree(provenance.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    # What is edited below are no imports.
    monkeypatch.setattr(provenance, "sources", {stage: sources(stage) for stage in STAGES}.get)

    def edit(name, old, new):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return edit


STAGES = ("train", "explore", "deploy")
ALL = set(STAGES)


@pytest.mark.parametrize(
    ("name", "old", "new", "stages"),
    [
        ("contracts/method.py", "distill_weight: float = 1", "distill_weight: float = 2", ALL),
        ("nn/losses.py", "def ", "def  ", ALL),
        ("training/updates/optimizers.py", "fused=True", "fused=False", ALL),
        (
            "contracts/sensitivity.py",
            "def of_policy",
            "def  of_policy",
            ALL,
        ),  # guides of runs are such
        ("stages/__init__.py", "threads: int = 1", "threads: int = 2", ALL),
        ("searches/dnas/mixture.py", "softmax", "log_softmax", {"explore"}),
        ("searches/sort.py", "def ", "def  ", {"explore"}),
        ("deployment/packing.py", "def ", "def  ", {"deploy"}),
        ("report/tables/tables.py", "def ", "def  ", set()),
        ("cli/runs.py", "def ", "def  ", set()),
        ("planning/plan.py", "def ", "def  ", set()),
    ],
)
def test_the_hash_changes_with_what_a_stage_imports(edited, name, old, new, stages):
    before = {stage: code_hash(stage) for stage in STAGES}
    edited(name, old, new)
    assert {stage for stage in STAGES if code_hash(stage) != before[stage]} == stages


def test_all_plugins_of_the_package_are_hashed():
    hashed = set(sources("explore"))
    ours = {name for name in registry.modules() if name.startswith("bitswitch.")}
    assert {f"{name.removeprefix('bitswitch.').replace('.', '/')}.py" for name in ours} <= hashed


EXEMPT = {
    "plugins/facts.py": "it is asked what to refuse",
    "plugins/resolve.py": "it spells out what a spec then says, and a run's name is its spec",
    "results/policies.py": "stages import it for searches",
    "spec/search.py": "stages import it for searches",
    "spec/yaml_files.py": "it reads specs",
    "spec/yaml_text.py": "it reads and writes specs",
}
"""What a stage may load and not hash, and why."""
STAGES_RUN = """
import json, sys
from pathlib import Path
from bitswitch import stages
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec

data, results, tiny = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
loaded = lambda: {name for name in sys.modules if name.partition(".")[0] == "bitswitch"}
training = {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4}
run = RunSpec(method="double-rounding", model="resnet8", dataset=tiny, bitset=(4, 2), seed=0,
              training=training)
run = resolved(run)
stages.train(run, results, data, "cpu")
train = loaded()
stages.deploy(run, results, data, "cpu")
deploy = loaded() - train
before = loaded()
scores = SensitivitySpec(sensitivity="hawq-v2", run=run, bitset=(4, 2), examples=2)
scores = resolved(scores)
stages.score(scores, results, data, "cpu")
budget = {"cost": "average-bits", "at_most": 3}
stages.search(resolved(SearchSpec(search="ilp", run=run, sensitivity=scores, budgets=[budget],
                         retraining=training)), results, data, "cpu")
explore = loaded() - before
print(json.dumps([sorted(found) for found in (train, train | deploy, train | explore)]))
"""


def test_what_stages_load_is_hashed(tiny_data, tmp_path):
    command = [sys.executable, "-c", STAGES_RUN, str(tiny_data), str(tmp_path), json.dumps(TINY)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    for stage, modules in zip(("train", "deploy", "explore"), json.loads(done.stdout), strict=True):
        known = {*sources(stage), *EXEMPT}
        assert [name for name in map(_file, modules) if name not in known] == [], stage


def _file(module):
    """Return the file of a module, relative to the package."""
    path = provenance.PACKAGE.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.relative_to(provenance.PACKAGE).as_posix()


def test_the_list_of_sources_is_remembered_until_a_file_is_edited(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "code_state", lambda module: "as it is")
    first = sources("train")
    monkeypatch.setattr(provenance, "closure", lambda *_: ["others.py"])
    assert sources("train") == first
    monkeypatch.setattr(provenance, "code_state", lambda module: "edited")
    assert sources("train") == ["others.py"]


def test_plugins_of_others_have_hashes_of_their_own(stranger):
    before = plugin_hashes(["stranger_package.method", "bitswitch.methods.lsq.lsq"])
    assert list(before) == ["stranger_package"]
    assert stranger in plugin_sources(["stranger_package.method", "bitswitch.methods.lsq.lsq"])
    stranger.write_text("x = 2\n")
    assert plugin_hashes(["stranger_package.method"]) != before


def test_commit_is_none_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert commit()["commit"] is None
    assert "not a git repository" in commit()["commit_unknown"]


def test_commit_is_none_in_a_repository_that_does_not_hold_the_package(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert commit()["commit"] is None
    assert "did not match" in commit()["commit_unknown"]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit that holds the package."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "__init__.py").write_text("x = 1\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


def test_commit_marks_uncommitted_changes(repository, monkeypatch):
    clean = commit()["commit"]
    assert len(clean) == 40
    (repository / "__init__.py").write_text("x = 2\n")
    assert commit() == {"commit": f"{clean}-dirty", "commit_unknown": None}


def test_commit_is_the_packages_own_inside_a_hook(repository, monkeypatch):
    clean = commit()
    monkeypatch.setenv("GIT_DIR", str(repository / "none"))
    assert commit() == clean


def test_commit_of_a_repository_of_another_owner_is_unknown_and_says_why(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    found = commit()
    assert found["commit"] is None
    assert "dubious ownership" in found["commit_unknown"]


def test_commit_is_unknown_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert commit()["commit"] is None
    assert "git" in commit()["commit_unknown"]


def test_provenance_names_versions_and_machine():
    import torch

    facts = collect([], "cpu", "a processor", "AVX2", threads=2)
    assert facts.torch == torch.__version__.partition("+")[0]
    assert facts.python == sys.version.split()[0]
    assert facts.device_name == "a processor"
    assert facts.instructions == "AVX2"
    assert facts.threads == 2
    assert facts.started.endswith("+00:00")
    assert facts.finished is None
    assert facts.ended().finished.endswith("+00:00")


def test_a_run_continued_by_the_same_code_keeps_its_hash():
    before = Provenance(code_hash="a", plugin_hashes={"p": "c"}, started="then")
    now = Provenance(code_hash="a", plugin_hashes={"p": "c"}, started="now", torch="2")
    assert now.after(before) == before.model_copy(update={"torch": "2"})


def test_a_run_continued_by_other_code_carries_all_hashes():
    facts = Provenance(code_hash="a", plugin_hashes={"p": "a"}, started="then")
    for code in ("b", "a", "b"):
        now = Provenance(code_hash=code, plugin_hashes={"p": code}, started="now")
        facts = now.after(facts)
    assert facts.code == ("a+b", {"p": "a+b"})
    assert facts.started == "then"


def test_a_run_continued_on_other_data_names_both():
    before = Provenance(data={"packed": "jpeg-256-90", "packed_hash": "a"})
    now = Provenance(data={"packed": "jpeg-256-90", "packed_hash": "b"})
    assert now.after(before).data == {"packed": "jpeg-256-90", "packed_hash": "a+b"}
    assert "data" not in Provenance(code_hash="a").after(Provenance(code_hash="a")).content()


def test_a_job_that_never_began_names_no_code_but_its_end():
    assert list(Provenance().ended().content()) == ["finished"]
