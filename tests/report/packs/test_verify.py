"""Tests of ``bitswitch.report.packs.verify``: numbers that somebody has edited."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bitswitch.errors import RecordError
from bitswitch.report.collect import collect, columns
from bitswitch.report.packs.verify import verify_pack, verify_suite
from bitswitch.results import archive
from bitswitch.results.result import files_of, write_result
from bitswitch.suite.suite import Suite

CHANGED = "is not as it was written"


@pytest.fixture
def edited(packed: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that edits members of a pack and mends every checksum on the way."""

    def edit(changes: dict[str, Callable[[str], str]], mend: bool = True) -> Path:
        members = dict(archive.checked(packed).members)
        for name, change in changes.items():
            before = members[name].decode()
            members[name] = change(before).encode()
            assert members[name].decode() != before
            if mend:
                with TemporaryDirectory() as folder:
                    archive.unpack(members, Path(folder))
                    _seal(Path(folder), name)
                    for path in Path(folder).rglob("result.json"):
                        key = path.relative_to(folder).as_posix()
                        members[key] = path.read_bytes()
        archive.write(tmp_path / "edited.tar.xz", members, {"suite": "tiny"})
        return tmp_path / "edited.tar.xz"

    return edit


def _seal(folder: Path, name: str) -> None:
    """Let the result of a job or of the tables vouch for what is there now."""
    place = next(one for one in (folder / name).parents if (one / "result.json").exists())
    content = json.loads((place / "result.json").read_text())
    write_result(place, content, files_of(place))


def cell(row: int, column: str, value: str) -> Callable[[str], str]:
    """Return what changes a cell of a CSV file, rows counted from the header, which is 1."""

    def change(text: str) -> str:
        rows = list(csv.reader(io.StringIO(text)))
        rows[row - 1][rows[0].index(column)] = value
        changed = io.StringIO()
        csv.writer(changed, lineterminator="\n").writerows(rows)
        return changed.getvalue()

    return change


def test_nothing_is_found_in_what_nobody_edited(packed: Path):
    assert verify_pack(packed) == []


def test_an_edited_cell_is_named_by_file_row_and_column(edited: Callable[..., Path]):
    found = verify_pack(edited({"tiny/metrics.csv": cell(3, "value", "99.9")}))
    assert [(one.file, one.row, one.column) for one in found] == [("tiny/metrics.csv", 3, "value")]
    assert "'99.9'; the records give '" in str(found[0])


def test_it_is_named_too_where_checksums_were_left(edited: Callable[..., Path]):
    found = verify_pack(edited({"tiny/runs.csv": cell(2, "train_time_s", "1.0")}, mend=False))
    assert [(one.file, one.row, one.column) for one in found] == [
        ("tiny/runs.csv", None, None),
        ("tiny/runs.csv", 2, "train_time_s"),
    ]


def test_a_lost_row_is_found(edited: Callable[..., Path]):
    path = edited({"tiny/curves.csv": lambda text: text[: text.rstrip().rindex("\n") + 1]})
    (found,) = verify_pack(path)
    assert "rows; the records give" in found.text


def test_a_column_of_a_later_version_is_no_fault(
    edited: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    path = edited({"tiny/metrics.csv": cell(3, "value", "99.9")})
    monkeypatch.setitem(columns.TABLES, "runs", (*columns.RUNS, "energy"))
    assert [one.file for one in verify_pack(path)] == ["tiny/metrics.csv"]


def test_an_edited_metric_is_not_the_share_of_right_examples(
    edited: Callable[..., Path], packs_suite: Suite
):
    key = next(iter(packs_suite.runs))
    name = f"runs/{key}/metrics.jsonl"

    def better(text: str) -> str:
        first, *others = text.splitlines()
        line = json.loads(first) | {"value": 99.9}
        return "\n".join([json.dumps(line), *others]) + "\n"

    found = verify_pack(edited({name: better}))
    assert (found[0].file, found[0].row, found[0].column) == (name, 1, "value")
    assert "by the examples in correct.jsonl" in found[0].text
    assert {one.file for one in found[1:]} == {"tiny/metrics.csv"}
    (changed, *_) = verify_pack(edited({name: better}, mend=False))
    assert str(changed) == f"{name}: {CHANGED}"


def test_a_headline_of_integers_is_the_share_of_right_examples_too(
    edited: Callable[..., Path], packs_suite: Suite
):
    name = f"deployments/{next(iter(packs_suite.deployments))}/parity.jsonl"

    def better(text: str) -> str:
        first, second, *others = text.splitlines()
        line = json.loads(second) | {"headline_onnx": 99.9}
        return "\n".join([first, json.dumps(line), *others]) + "\n"

    found = verify_pack(edited({name: better}))
    assert (found[0].file, found[0].row, found[0].column) == (name, 2, "headline_onnx")
    assert "99.9; " in found[0].text
    assert {one.file for one in found[1:]} == {"tiny/deployments.csv"}


def test_every_kind_of_record_is_held_against_the_tables(
    edited: Callable[..., Path], packs_suite: Suite
):
    names = {
        f"sensitivities/{next(iter(packs_suite.sensitivities))}/scores.csv": "scores",
        f"deployments/{next(iter(packs_suite.deployments))}/parity.jsonl": "deployments",
        f"searches/{next(iter(packs_suite.searches))}/result.json": "policies",
    }
    for name, table in names.items():
        found = verify_pack(edited({name: lambda text: text.replace("1", "2")}))
        assert f"tiny/{table}.csv" in {one.file for one in found}, name


def test_a_record_that_is_none_any_more_is_named(edited: Callable[..., Path], packs_suite: Suite):
    name = f"runs/{next(iter(packs_suite.runs))}/metrics.jsonl"
    found = verify_pack(edited({name: lambda text: "{"}))
    assert any(one.file.startswith(name) and "no JSON" in one.text for one in found)


def test_collected_results_are_verified_in_place(
    packs_suite: Suite, all_of_it: Path, known_plugins: None
):
    with pytest.raises(RecordError, match="bitswitch collect tiny"):
        verify_suite(packs_suite, all_of_it)
    folder = collect.write(packs_suite, all_of_it)
    assert verify_suite(packs_suite, all_of_it) == []
    path = folder / "policies.csv"
    path.write_text(cell(2, "bitops", "1.0")(path.read_text()))
    found = verify_suite(packs_suite, all_of_it)
    assert [(one.file, one.row, one.column) for one in found] == [
        ("tiny/policies.csv", None, None),
        ("tiny/policies.csv", 2, "bitops"),
    ]


def test_the_command_fails_and_lists_them(
    edited: Callable[..., Path], bitswitch: Callable[..., tuple[int | str, str, str]]
):
    path = edited({"tiny/metrics.csv": cell(3, "value", "99.9")})
    code, _, error = bitswitch("results", "verify", path)
    assert code == RecordError.exit_code
    assert "metrics.csv, row 3, column 'value': '99.9'" in error
