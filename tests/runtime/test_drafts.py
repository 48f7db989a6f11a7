import os
import subprocess
import time

import pytest

from bitswitch.data.files import replace_folder
from bitswitch.results.files import write_bytes
from bitswitch.runtime import drafts
from bitswitch.runtime.drafts import HOST, new_draft
from bitswitch.training.directory import RunDirectory


@pytest.fixture(scope="module")
def dead():
    """The pid of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path, dead):
    (tmp_path / f".result.json.{dead}@{HOST}").write_text("half")
    (tmp_path / f".digits.{dead}@{HOST}").mkdir()
    (tmp_path / f".digits.{dead}@{HOST}" / "0.jpg").touch()
    write_bytes(tmp_path / "result.json", b"whole")
    replace_folder(tmp_path / "digits", lambda draft: (draft / "1.jpg").touch())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "result.json"]


def test_nothing_else_goes(tmp_path, dead):
    others = [
        f".other.json.{dead}@{HOST}",  # of another file
        f".result.json.{os.getppid()}@{HOST}",  # its writer lives
        f".result.json.{dead}@{HOST}-2",  # of another machine
        ".result.json.bak",
        f"result.json.{dead}@{HOST}",
        f".result.json.{dead}",
    ]
    for name in others:
        (tmp_path / name).touch()
    write_bytes(tmp_path / "result.json", b"")
    assert {path.name for path in tmp_path.iterdir()} == {*others, "result.json"}


def test_a_draft_of_another_machine_goes_when_it_is_old(tmp_path, dead):
    draft = tmp_path / f".a.{dead}@elsewhere"
    draft.touch()
    long_ago = time.time() - drafts.FORGOTTEN_S - 60
    os.utime(draft, (long_ago, long_ago))
    write_bytes(tmp_path / "a", b"")
    assert not draft.exists()


def test_the_longest_names_can_be_written(tmp_path):
    write_bytes(tmp_path / ("n" * 255), b"1")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"1"


def test_a_draft_lies_beside_its_file(tmp_path):
    assert new_draft(tmp_path / "x").parent == tmp_path
    assert new_draft(tmp_path / "none" / "x").parent == tmp_path / "none"


def test_what_killed_attempts_left_goes_when_a_run_starts(tmp_path, dead):
    alive = f".b.json.{os.getppid()}@{HOST}"
    for name in (f".a.json.{dead}@{HOST}", f".checkpoint.pt.{dead}@{HOST}", alive, ".hidden"):
        (tmp_path / name).touch()
    with RunDirectory(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {alive, ".hidden", "lock"}
