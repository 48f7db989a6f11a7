import subprocess
import sys

import pytest

from bitswitch import provenance
from bitswitch.provenance import code_hash, collect, commit, continued, plugin_hashes


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


def test_code_hash_changes_with_what_decides_numbers(tmp_path, monkeypatch):
    for part in provenance.DECISIVE:
        path = tmp_path / part
        if part.endswith(".py"):
            path.write_text("x = 1\n")
        else:
            path.mkdir()
            (path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    before = code_hash()
    (tmp_path / "cli.py").write_text("x = 1\n")
    assert code_hash() == before
    (tmp_path / "quant" / "a.py").write_text("x = 2\n")
    assert code_hash() != before


def test_every_decisive_part_exists():
    assert all((provenance.PACKAGE / part).exists() for part in provenance.DECISIVE)


def test_plugins_of_others_have_hashes_of_their_own(stranger):
    before = plugin_hashes(["stranger_package.method", "bitswitch.methods.lsq"])
    assert list(before) == ["stranger_package"]
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
    (tmp_path / "provenance.py").write_text("x = 1\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


def test_commit_marks_uncommitted_changes(repository, monkeypatch):
    clean = commit()["commit"]
    assert len(clean) == 40
    (repository / "provenance.py").write_text("x = 2\n")
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

    facts = collect([], "cpu", "a processor", threads=2)
    assert facts["torch"] == torch.__version__.partition("+")[0]
    assert facts["python"] == sys.version.split()[0]
    assert facts["device_name"] == "a processor"
    assert facts["threads"] == 2
    assert facts["started"].endswith("+00:00")
    assert facts["finished"] is None


def test_a_run_continued_by_the_same_code_keeps_its_hash():
    before = {"code_hash": "a", "plugin_hashes": {"p": "c"}, "started": "then"}
    now = {"code_hash": "a", "plugin_hashes": {"p": "c"}, "started": "now", "torch": "2"}
    assert continued(before, now) == {**before, "torch": "2"}


def test_a_run_continued_by_other_code_carries_all_hashes():
    facts = {"code_hash": "a", "plugin_hashes": {"p": "a"}, "started": "then"}
    for code in ("b", "a", "b"):
        now = {"code_hash": code, "plugin_hashes": {"p": code}, "started": "now"}
        facts = continued(facts, now)
    assert facts["plugin_hashes"] == {"p": "a+b"}
    assert facts["code_hash"] == "a+b"
