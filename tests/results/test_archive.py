"""Tests of ``bitswitch.results.archive``."""

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from bitswitch.errors import RecordError, RunDirectoryError
from bitswitch.results import archive

MEMBERS = {"b/two.csv": b"x,y\n1,2\n" * 300, "one.txt": "é".encode()}
ABOUT = {"suite": "tiny"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    archive.write(tmp_path / "tiny.tar.xz", MEMBERS, ABOUT)
    return tmp_path / "tiny.tar.xz"


def again(file: Path, members: dict[str, bytes], *extra: tarfile.TarInfo) -> None:
    """Pack members as anybody can, without looking after checksums."""
    with tarfile.open(file, "w:xz") as made:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
        for entry in extra:
            made.addfile(entry)


def everything(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as made:
        return {one.name: made.extractfile(one).read() for one in made}


def test_what_was_written_comes_back(file: Path):
    found = archive.checked(file)
    assert (found.about, found.members, found.faults) == (ABOUT, MEMBERS, ())


def test_the_same_content_makes_the_same_bytes(file: Path, monkeypatch: pytest.MonkeyPatch):
    before = file.read_bytes()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(os, "getuid", lambda: 7)
    archive.write(file, dict(reversed(MEMBERS.items())), ABOUT)
    assert file.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.99])
def test_a_truncated_file_is_one_message(file: Path, share: float):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RecordError, match=r"truncated, damaged or no pack(.*\n)+.*results pack"):
        archive.read(file)


def test_a_flipped_bit_anywhere_is_found(file: Path):
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 0x10
        file.write_bytes(changed)
        with pytest.raises(RecordError, match=r"tiny\.tar\.xz"):
            archive.checked(file)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"b/two.csv": b"x,y\n1,3\n"}, "b/two.csv is not as it was written"),
        ({"more.csv": b""}, "more.csv was added"),
        ({"one.txt": None}, "one.txt is missing"),
        ({"contents.json": b'{"suite": "tiny"}'}, "contents.json lists no files"),
        ({"contents.json": b"{"}, "contents.json: no JSON"),
        ({"contents.json": None}, "is no pack"),
    ],
)
def test_what_was_edited_is_named(file: Path, changes: dict[str, bytes | None], fault: str):
    members = {**everything(file), **changes}
    again(file, {name: one for name, one in members.items() if one is not None})
    with pytest.raises(RecordError) as error:
        archive.checked(file)
    assert fault in str(error.value)


def test_edited_contents_are_found(file: Path):
    members = everything(file)
    members["contents.json"] = members["contents.json"].replace(b'"tiny"', b'"mini"')
    again(file, members)
    assert archive.read(file).faults == (("contents.json", "is not as it was written"),)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "b/two.csv"])
def test_members_that_no_pack_has_are_refused(file: Path, name: str):
    again(file, everything(file), tarfile.TarInfo(name))
    with pytest.raises(RecordError, match="no plain file of its own"):
        archive.read(file)


def test_links_are_refused(file: Path):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    again(file, everything(file), link)
    with pytest.raises(RecordError, match="member 'link'"):
        archive.read(file)


def test_what_is_not_there_or_cannot_be_written_is_said(tmp_path: Path):
    with pytest.raises(RecordError, match=r"There is no file .*x\.tar\.xz"):
        archive.read(tmp_path / "x.tar.xz")
    with pytest.raises(RunDirectoryError, match="there is no folder"):
        archive.write(tmp_path / "none" / "x.tar.xz", MEMBERS, ABOUT)


def test_an_interrupted_write_leaves_the_file_of_before(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    before = file.read_bytes()

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        archive.write(file, {"other": b""}, ABOUT)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
