import errno
import fcntl
import os

import pytest

from bitswitch.errors import LockError
from bitswitch.runtime import locks
from bitswitch.runtime.locks import private_folder, try_lock


@pytest.fixture
def shared(monkeypatch, tmp_path):
    """A temporary folder that others may write into; return what is ours there."""
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path / f"bitswitch-{os.geteuid()}"


def test_a_lock_names_its_holder(tmp_path):
    path = tmp_path / "lock"
    with try_lock(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert try_lock(path) is None
    with try_lock(path) as again:
        assert again is not None


def test_a_lock_follows_no_link(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        try_lock(tmp_path / "lock")
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", lambda *arguments: raise_(OSError(number, "no")))
    with pytest.raises(LockError, match=f"{tmp_path} has no file locks"):
        try_lock(tmp_path / "lock")


def raise_(error):
    raise error


def test_the_folder_is_ours_alone(shared):
    assert private_folder() == private_folder() == shared
    assert shared.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["foreign", "link", "open", "file"])
def test_a_folder_that_others_can_reach_is_refused(shared, monkeypatch, tmp_path, trap):
    if trap == "foreign":
        stranger = os.geteuid() + 1
        (tmp_path / f"bitswitch-{stranger}").mkdir(mode=0o700)
        monkeypatch.setattr(os, "geteuid", lambda: stranger)
    elif trap == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        shared.symlink_to(tmp_path / "theirs")
    elif trap == "open":
        shared.mkdir()
        shared.chmod(0o777)
    else:
        shared.touch()
    with pytest.raises(LockError, match=f"bitswitch-{os.geteuid()} is no folder that only you"):
        private_folder()


def test_a_taken_name_leaves_the_folder_of_the_session(shared, monkeypatch, tmp_path):
    shared.symlink_to(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert private_folder() == tmp_path / "run" / "bitswitch"


@pytest.mark.parametrize("home", [None, "writable", "none"])
def test_compiled_code_is_kept_where_nobody_else_writes(shared, monkeypatch, tmp_path, home):
    def path_of_home():
        if home is None:
            raise RuntimeError("Could not determine home directory.")
        return tmp_path / home

    (tmp_path / "writable").mkdir()
    monkeypatch.setattr(locks.Path, "home", path_of_home)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "set back after the test")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    locks.keep_compiled_code_private()
    folder = shared if home != "writable" else tmp_path / "writable" / ".cache" / "bitswitch"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder / "compiled")
    monkeypatch.setattr(locks.Path, "home", lambda: tmp_path)
    locks.keep_compiled_code_private()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder / "compiled")
