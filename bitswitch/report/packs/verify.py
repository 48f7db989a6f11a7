"""Are the numbers those that were written? Checksums, then tables and records against each other.

A checksum says that a file was changed; the tables, collected again from the records, say where,
and so do the examples that were right, whose share some metrics are. Whoever changes all of them,
and every checksum, is not found.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, get_args

from bitswitch.errors import RecordError, shown
from bitswitch.report.collect.columns import TABLES
from bitswitch.report.packs.pack import Pack, jobs_of, name_in, records_of, tables_in
from bitswitch.results import archive, correct
from bitswitch.results.deployments import PARITY, Executor, Parity
from bitswitch.results.files import read_json
from bitswitch.results.records import Metric
from bitswitch.results.result import NAME, changed_in, files_of, write_result
from bitswitch.suite.suite import Suite

SHOWN = 5
"""Differences of one table that are told."""
METRICS = "metrics.jsonl"

Files = Mapping[str, bytes]
"""By path below the folder of results."""


class Finding(NamedTuple):
    """Something that is not as it was written."""

    file: str
    text: str
    row: int | None = None
    """Of the file, as a table counts them: the header is 1."""
    column: str | None = None

    def __str__(self) -> str:
        place = "" if self.row is None else f", row {self.row}"
        place += "" if self.column is None else f", column '{self.column}'"
        return f"{self.file}{place}: {self.text}"


def verify_pack(file: Path) -> list[Finding]:
    """Return what in a pack is not as it was written.

    Raises:
        RecordError: it cannot be read at all.
    """
    found = archive.read(file)
    faults = [Finding(*fault) for fault in found.faults]
    return _verify(found.members, name_in(found, file), faults)


def verify_suite(suite: Suite, results: Path) -> list[Finding]:
    """Return what in the collected tables and records of a suite is not as it was written.

    Raises:
        RecordError: nothing was collected yet.
    """
    tables = tables_in(results / suite.name)
    if not tables:
        raise RecordError(
            f"Nothing has been collected in {results / suite.name} yet.\n"
            f"  Collect it first: bitswitch collect {suite.name}"
        )
    return _verify(records_of(suite, results, trusted=False) | tables, suite.name, [])


def _verify(members: Files, name: str, faults: Sequence[Finding]) -> list[Finding]:
    """Return ``faults``, and what else is wrong with ``members`` of the suite ``name``."""
    findings = list(faults)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        archive.unpack(members, folder)
        try:
            findings += _changed(folder, name)
            pack = Pack.of(folder, name)
            for kind, key in jobs_of(pack.suite):
                findings += _changed(folder, f"{kind}/{key}")
                findings += _shares(folder, f"{kind}/{key}")
            frames = pack.frames()
        except RecordError as error:
            place, _, text = str(error).partition("\n")[0].partition(": ")
            return _once([*findings, Finding(place.removeprefix(f"{folder}/"), text)])
    for table in TABLES:
        file = f"{name}/{table}.csv"
        if file in members:  # what an earlier version wrote may lack tables and columns
            made = getattr(frames, table).to_csv(index=False)
            findings += _cells(file, members[file].decode(errors="replace"), made)
    return _once(findings)


def _once(findings: Sequence[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))


def _changed(folder: Path, place: str) -> Iterator[Finding]:
    """Yield the files of a job, or of the tables, that their result does not vouch for.

    They are vouched for anew, so that what they say now can be set against what else there is.
    """
    path = folder / place
    if not (path / NAME).is_file():
        return
    changed = changed_in(path)
    yield from (Finding(f"{place}/{name}", archive.CHANGED) for name in changed)
    if changed:
        files = [name for name in files_of(path) if (path / name).is_file()]
        write_result(path, read_json(path / NAME), files)


def _shares(folder: Path, place: str) -> Iterator[Finding]:
    """Yield the metrics of a job that are not the share of the examples which were right."""
    path = folder / place
    if not (path / NAME).is_file() or correct.NAME not in files_of(path):
        return
    right = {(one.policy, one.metric): one.right for one in correct.read_correct(path)}
    for value in _deployed(path) if place.startswith("deployments/") else _evaluated(path):
        bits = right.get((value.policy, value.metric))
        if bits is not None:
            share = (100 if value.percent else 1) * int(bits.sum()) / len(bits)
            if not isclose(share, value.value, rel_tol=1e-12):
                text = f"{value.value}; {share} by the examples in {correct.NAME}"
                yield Finding(f"{place}/{value.file}", text, value.row, value.column)


class _Value(NamedTuple):
    """A number of a job on the test split."""

    file: str
    row: int
    column: str
    policy: str
    metric: str
    value: float
    percent: bool


def _evaluated(path: Path) -> Iterator[_Value]:
    """Yield what a run or search says of the test split."""
    for row, line in enumerate(Metric.read_lines(path / METRICS), start=1):
        if line.split == "test":
            percent = line.unit == "percent"
            yield _Value(METRICS, row, "value", line.policy, line.metric, line.value, percent)


def _deployed(path: Path) -> Iterator[_Value]:
    """Yield what a deployment says of it, in the units of its run."""
    evaluated = path.parents[1] / "runs" / path.name / METRICS
    units = {line.metric: line.unit for line in Metric.read_lines(evaluated)}
    for row, line in enumerate(Parity.read_lines(path / PARITY), start=1):
        percent = units.get(line.metric) == "percent"
        for ending in get_args(Executor):
            column, metric = f"headline{ending}", line.metric + ending
            if (value := getattr(line, column)) is not None:
                yield _Value(PARITY, row, column, str(line.bits), metric, value, percent)


def _cells(file: str, found: str, made: str) -> Iterator[Finding]:
    """Yield the cells of a table that are not those that the records give."""
    rows, expected = (list(csv.DictReader(io.StringIO(text))) for text in (found, made))
    if len(rows) != len(expected):
        yield Finding(file, f"has {len(rows)} rows; the records give {len(expected)}")
    differing = [
        Finding(file, f"{shown(repr(cell))}; the records give {shown(repr(other))}", row, column)
        for row, (cells, others) in enumerate(zip(rows, expected, strict=False), start=2)
        for column, cell in cells.items()
        if (other := others.get(column, cell)) != cell
    ]
    yield from differing[:SHOWN]
    if len(differing) > SHOWN:
        yield Finding(file, f"and {len(differing) - SHOWN} more cells")
