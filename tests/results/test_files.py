import errno
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.errors import RecordError, RunDirectoryError
from bitswitch.results.files import (
    Lines,
    mark_of,
    read_json,
    read_lines,
    write_bytes,
    write_json,
    write_lines,
    writing,
)

values = st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


@given(values)
def test_numbers_are_read_as_they_were_written(folder, content):
    write_json(folder / "x.json", content)
    assert read_json(folder / "x.json") == content
    write_lines(folder / "x.jsonl", [content, content])
    assert read_lines(folder / "x.jsonl") == [content, content]


def test_no_lines_make_an_empty_file(tmp_path):
    write_lines(tmp_path / "x.jsonl", [])
    assert read_lines(tmp_path / "x.jsonl") == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_does_not_know_is_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full.\n  Free some space and run again"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "Permission denied.\n  Make the folder writable"),
        (errno.EROFS, "Read-only file system"),
    ],
)
def test_a_failed_write_keeps_the_old_file_and_says_what_to_do(
    tmp_path, monkeypatch, code, message
):
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})

    def fail(file):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunDirectoryError) as caught:
        write_json(path, {"new": 1})
    assert message in str(caught.value)
    assert read_json(path) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_a_really_full_disk_is_called_so():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    with (
        pytest.raises(RunDirectoryError, match="the disk is full"),
        writing(full),
        full.open("w") as file,
    ):
        file.write("x" * 100_000)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"there is no folder .*none"):
        write_bytes(tmp_path / "none" / "x", b"")


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 1',
        "nonsense",
        "[1, 2]",
        "3",
        '{"a": ' * 100_000,
        '{"a": ' + "1" * 5000 + "}",
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        '\0{"a": 1}',
        '\ufeff{"a": 1}',
    ],
    ids=["cut", "words", "list", "number", "deep", "huge", "nan", "twice", "nul", "mark"],
)
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(RecordError, match=r"metrics.jsonl, line 2: ") as caught:
        read_lines(path)
    assert repr(line[:10])[:-1] in str(caught.value)
    assert "run again" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe"])
def test_a_malformed_file_is_named(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"result\.json"):
        read_json(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"none.json cannot be read"):
        read_json(tmp_path / "none.json")


def test_lines_reach_the_file_at_once(tmp_path):
    with Lines(tmp_path / "x.jsonl") as lines:
        lines.append({"step": 1})
        assert read_lines(lines.path) == [{"step": 1}]
        assert lines.mark == mark_of(b'{"step": 1}\n')


def test_lines_go_back_to_an_earlier_mark(tmp_path):
    path = tmp_path / "x.jsonl"
    with Lines(path) as lines:
        lines.append({"step": 1})
        mark = lines.mark
        lines.append({"step": 2})
    with Lines(path, mark) as lines:
        lines.append({"step": 3})
        lines.sync()
    assert read_lines(path) == [{"step": 1}, {"step": 3}]


def test_lines_cannot_go_back_to_a_larger_mark(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")
    with pytest.raises(RecordError, match="has 3 bytes where the checkpoint counts 50"):
        Lines(path, mark_of(b"0" * 50))
