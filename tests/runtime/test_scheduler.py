import getpass
import os
import platform
import pwd
from pathlib import Path

import pytest

from bitswitch.runtime import scheduler


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A working folder in which a Snakemake was killed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scheduler, "_present", [])
    assert not scheduler.enter()
    die()
    lock()
    return tmp_path


def lock():
    """Lock the folder as Snakemake does."""
    scheduler.LOCKS.mkdir(parents=True, exist_ok=True)
    for kind in ("input", "output"):
        (scheduler.LOCKS / f"0.{kind}.lock").touch()


def locked():
    return bool(list(scheduler.LOCKS.iterdir()))


def die():
    """Let all Snakemakes of the folder end."""
    while scheduler._present:
        scheduler._present.pop().close()


def test_a_lock_that_a_killed_snakemake_left_is_removed(folder):
    assert scheduler.enter()
    assert not locked()


def test_a_lock_of_one_that_lives_stays_whoever_came_and_went(folder):
    assert scheduler.enter()
    lock()
    assert not scheduler.enter()
    scheduler._present.pop().close()
    assert not scheduler.enter()
    assert locked()
    die()
    assert scheduler.enter()


def test_a_lock_of_another_machine_stays(folder, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert not scheduler.enter()
    assert not scheduler.enter()
    assert locked()


def test_without_locks_of_the_system_nothing_is_removed(folder, monkeypatch):
    def refuse(*arguments):
        raise OSError(95, "not supported")

    monkeypatch.setattr(scheduler.fcntl, "flock", refuse)
    assert not scheduler.enter()
    assert locked()


@pytest.mark.parametrize("name", ["a.yaml", "{b}/a.yaml", "../{x}.yaml"])
def test_paths_reach_the_file_and_hold_no_wildcard(folder, name):
    where = folder / "{w}"
    where.mkdir()
    os.chdir(where)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(name)
    for _ in range(2):
        found = scheduler.without_wildcards(path)
        assert "{" not in str(found)
        assert found.read_text() == name


def test_a_user_without_a_name_gets_one(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    scheduler.name_user()
    assert getpass.getuser() == str(os.getuid())
