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
from bitswitch.report.packs.united import Part, united
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

    They may have run other seeds of it: what is written has all of them.

    Args:
        files: Packs.
        into: The pack that is written.
        allow_mixed: Accept results of different code, which the report then says.

    Raises:
        RecordError: a damaged pack, packs of suites that differ in more than seeds, or results of
            different code.
    """
    found = [archive.checked(file) for file in files]
    name = _name(files, found)
    suite, expansion = united(list(_parts(files, found, name)))
    jobs: Jobs = defaultdict(list)
    attempts = [attempt for one in found for attempt in _attempts(one.members, name)]
    for key, attempt in attempts:
        if all(differences(numbers(one), numbers(attempt)) for one in jobs[key]):
            jobs[key].append(attempt)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        records = dict(_laid_out(jobs))
        archive.unpack(records, folder)
        if not allow_mixed:
            places = [folder, *sorted((folder / FOLDER).glob("*"))]
            made = [JobRecords.read(suite, place) for place in places]
            refuse_mixed(made, "bitswitch results merge ... --allow-mixed")
        frames = Pack(folder, suite, expansion).frames()
        frames.write(folder / name, expansion)
        archive.write(into, records | tables_in(folder / name), {"suite": name})
    conflicts = [f"{row.job}: {row.file}, line {row.line}" for row in frames.repeats.itertuples()]
    again = len(attempts) - sum(map(len, jobs.values()))
    return Merged(len(jobs), again, tuple(conflicts))


def _name(files: Sequence[Path], found: Sequence[archive.Archive]) -> str:
    """Return the name of the suite of all packs.

    Raises:
        RecordError: they are of different suites.
    """
    names = [name_in(one, file) for one, file in zip(found, files, strict=True)]
    for file, name in zip(files, names, strict=True):
        if name != names[0]:
            raise RecordError(
                f"{files[0]} is of suite '{names[0]}', {file} of '{name}': packs of one suite are "
                f"merged.{hint(name, names[:1])}"
            )
    return names[0]


def _parts(files: Sequence[Path], found: Sequence[archive.Archive], name: str) -> Iterator[Part]:
    """Yield what every pack is of."""
    for file, one in zip(files, found, strict=True):
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            own = {key: text for key, text in one.members.items() if key.startswith(f"{name}/")}
            archive.unpack(own, folder)
            pack = Pack.of(folder, name)
            yield Part(file, pack.suite, pack.expansion)


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
