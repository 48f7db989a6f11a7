import json

import pytest

from bitswitch.errors import RecordError
from bitswitch.results.files import read_json
from bitswitch.results.result import NAME, read_result, write_result

CONTENT = {"status": "complete", "top1": {"8": 0.1 + 0.2}, "none": None, "text": "é"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "deep" / "b.json").write_text('{"b": 17}')
    write_result(tmp_path, CONTENT, ["a.jsonl", "deep/b.json"])
    return tmp_path


def test_a_result_comes_back(folder):
    assert read_result(folder) == CONTENT
    assert read_json(folder / NAME)["status"] == "complete"


def test_keys_that_are_numbers_become_text_as_in_json(tmp_path):
    write_result(tmp_path, {"by_bits": {8: (1, 2)}}, [])
    assert read_result(tmp_path) == {"by_bits": {"8": [1, 2]}}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.jsonl", "2", "3"),
        ("a.jsonl", '{"a": 1}\n', ""),
        ("a.jsonl", '{"a": 1}\n', '{"a": 1}\n{"a": 1}\n'),
        ("a.jsonl", "\n", "\r\n"),
        ("deep/b.json", "17", "18"),
        (NAME, "0.3", "0.4"),
        (NAME, "complete", "diverged"),
    ],
)
def test_what_is_not_as_it_was_written_is_refused(folder, name, before, after):
    path = folder / name
    changed = path.read_bytes().replace(before.encode(), after.encode(), 1)
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(RecordError, match=f"{name} is not as it was written") as error:
        read_result(folder)
    assert f"Delete {folder} and run again" in str(error.value)


def test_what_is_not_needed_is_not_compared(folder):
    (folder / "a.jsonl").unlink()
    assert read_result(folder, "deep/b.json") == CONTENT
    with pytest.raises(RecordError, match=r"a\.jsonl cannot be read: No such file"):
        read_result(folder)


def test_a_file_that_nobody_vouches_for_is_refused(folder):
    (folder / "c.json").write_text("{}")
    with pytest.raises(RecordError, match=r"c\.json is not as it was written"):
        read_result(folder, "c.json")


def test_a_result_without_checksums_is_of_an_earlier_version(folder):
    (folder / NAME).write_text(json.dumps(CONTENT))
    with pytest.raises(RecordError, match=r"an earlier version(.*\n)*.*Delete .* run again"):
        read_result(folder)
