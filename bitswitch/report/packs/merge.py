"""Packs of several machines as one: each job once, unless its repeats say other numbers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bitswitch.errors import RecordError, hint
from bitswitch.report.collect.job_records import JobRecords, refuse_mixed
from bitswitch.report.collect.repeat_rows import FOLDER, differences, numbers
from bitswitch.report.packs.pack import KINDS, Pack, name_in, tables_in
from bitswitch.results import archive

Files = dict[str, bytes]
"""Of one job, by path below its folder."""
Jobs = dict[tuple[str, str], list[Files]]
"""Attempts at every job, by kind and identifier; those that say the same numbers once."""


class Merged(NamedTuple):
    """What became of packs."""

    jobs: int
    agreed: int
    """Jobs that several packs have, with the same numbers to the last digit."""
    conflicts: tuple[str, ...]
    """A sentence for every job whose repeats say other numbers."""


def merge(files: Sequence[Path], into: Path, allow_mixed: bool = False) -> Merged:
    """Join packs of one suite; the tables take a job from the first pack that has it.

    Args:
        files: Packs.
        into: The pack that is written.
        allow_mixed: Accept results of different code, which the report then says.

    Raises:
        RecordError: a damaged pack, packs of other suites, or results of different code.
    """
    found = [archive.checked(file) for file in files]
    name = _same_suite(files, found)
    jobs: Jobs = defaultdict(list)
    attempts = [attempt for one in found for attempt in _attempts(one.members, name)]
    for key, attempt in attempts:
        if all(differences(numbers(one), numbers(attempt)) for one in jobs[key]):
            jobs[key].append(attempt)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        records = dict(_laid_out(jobs))
        archive.unpack(records | _suite_files(found[0].members, name), folder)
        pack = Pack.of(folder, name)
        if not allow_mixed:
            places = [folder, *sorted((folder / FOLDER).glob("*"))]
            made = [JobRecords.read(pack.suite, place) for place in places]
            refuse_mixed(made, "bitswitch results merge ... --allow-mixed")
        frames = pack.frames()
        frames.write(folder / name, pack.expansion)
        archive.write(into, records | tables_in(folder / name), {"suite": name})
    conflicts = [f"{row.job}: {row.file}, line {row.line}" for row in frames.repeats.itertuples()]
    again = len(attempts) - sum(map(len, jobs.values()))
    return Merged(len(jobs), again, tuple(conflicts))


def _same_suite(files: Sequence[Path], found: Sequence[archive.Archive]) -> str:
    """Return the name of the suite of all packs.

    Raises:
        RecordError: they are of different suites, or of other versions of one.
    """
    names = [name_in(one, file) for one, file in zip(found, files, strict=True)]
    for file, one, name in zip(files, found, names, strict=True):
        if name != names[0]:
            raise RecordError(
                f"{files[0]} is of suite '{names[0]}', {file} of '{name}': packs of one suite are "
                f"merged.{hint(name, names[:1])}"
            )
        for part in ("suite.yaml", "expansion.json"):
            if one.members.get(f"{name}/{part}") != found[0].members.get(f"{name}/{part}"):
                raise RecordError(
                    f"{file} is of another version of suite '{name}' than {files[0]}: their {part} "
                    f"differ.\n  Pack the results anew with the same suite file and the same "
                    f"plugins: bitswitch results pack SUITE"
                )
    return names[0]


def _suite_files(members: Mapping[str, bytes], name: str) -> Files:
    return {key: members[key] for key in (f"{name}/suite.yaml", f"{name}/expansion.json")}


def _attempts(members: Mapping[str, bytes], name: str) -> Iterator[tuple[tuple[str, str], Files]]:
    """Yield every attempt at a job in a pack, the ones that its tables show first."""
    found: dict[tuple[str, ...], Files] = defaultdict(dict)
    for path, content in members.items():
        parts = path.split("/")
        depth = 4 if parts[0] == FOLDER else 2
        if parts[depth - 2] in KINDS and parts[0] != name:
            found[tuple(parts[:depth])]["/".join(parts[depth:])] = content
    for place in sorted(found, key=lambda place: (len(place), place)):
        yield (place[-2], place[-1]), found[place]


def _laid_out(jobs: Jobs) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file: first attempts in their places, repeats beside."""
    for (kind, key), attempts in jobs.items():
        for number, attempt in enumerate(attempts):
            place = f"{FOLDER}/{number}/" if number else ""
            yield from ((f"{place}{kind}/{key}/{one}", content) for one, content in attempt.items())
