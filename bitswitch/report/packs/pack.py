"""A suite and its records as one file, and back; needs no plugin of its runs, and so no torch.

A pack is a folder of results without checkpoints: the records of all jobs, as their ``result.json``
vouches for them, and the tables that are collected from these. Reports are made from the records,
so that a pack may be older than the columns of the tables.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bitswitch.errors import RecordError
from bitswitch.report.collect.collect import OUTPUTS, collect
from bitswitch.report.collect.expansion import Expansion
from bitswitch.report.collect.frames import Frames
from bitswitch.results import archive
from bitswitch.results.files import write_bytes
from bitswitch.results.result import NAME, files_of, read_result
from bitswitch.spec.yaml_files import read_yaml
from bitswitch.suite.suite import Suite

KINDS = ("runs", "sensitivities", "searches", "deployments")
"""Folders of jobs."""
SPEC = "spec.yaml"


class Pack(NamedTuple):
    """What a pack holds, in a folder that lasts as long as it is open."""

    folder: Path
    """Of all results in it."""
    suite: Suite
    expansion: Expansion

    @classmethod
    def of(cls, folder: Path, name: str) -> "Pack":
        """Return what was unpacked into ``folder``, of the suite ``name``.

        Raises:
            RecordError: a file is missing, or no such file.
        """
        expansion = Expansion.read(folder / name)
        suite = Suite.model_validate(read_yaml(folder / name / "suite.yaml"))
        suite = suite.expanded_by(lambda: expansion.cells)
        return cls(folder, suite, expansion)

    def frames(self) -> Frames:
        """Return the tables, collected from the records, whatever code has made these."""
        return collect(self.suite, self.folder, allow_mixed=True, expansion=self.expansion)


def write(suite: Suite, results: Path, file: Path, allow_mixed: bool = False) -> None:
    """Write what there is of ``suite`` below ``results`` to ``file`` at once.

    Raises:
        RecordError: a damaged record, or runs of different code versions.
        RunDirectoryError: the file cannot be written.
    """
    records = records_of(suite, results)
    expansion = Expansion.of(suite)
    with TemporaryDirectory() as folder:
        collected = Path(folder) / suite.name
        collect(suite, results, allow_mixed, expansion).write(collected, expansion)
        archive.write(file, records | tables_in(collected), {"suite": suite.name})


@contextmanager
def opened(file: Path) -> Iterator[Pack]:
    """Yield what a pack holds.

    Raises:
        RecordError: it is not there, truncated, damaged or edited, or of another kind.
    """
    found = archive.checked(file)
    with TemporaryDirectory() as folder:
        archive.unpack(found.members, Path(folder))
        yield Pack.of(Path(folder), name_in(found, file))


def report(file: Path, results: Path) -> tuple[Suite, Path]:
    """Write the tables of a pack to the folder ``results/<suite>``, for documents to be made there.

    Returns:
        The suite and that folder.

    Raises:
        RecordError: see ``opened``; or the folder holds tables of other results.
    """
    with opened(file) as pack, TemporaryDirectory() as temporary:
        suite, made, folder = pack.suite, Path(temporary), results / pack.suite.name
        pack.frames().write(made, pack.expansion)
        there = folder / NAME
        if there.exists() and there.read_bytes() != (made / NAME).read_bytes():
            raise RecordError(
                f"{folder} holds tables of other results than {file}, which would be lost.\n"
                f"  Name another folder for the report: --results FOLDER"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name in OUTPUTS:
            write_bytes(folder / name, (made / name).read_bytes())
    return suite.expanded_by(lambda: Expansion.read(folder).cells), folder


def name_in(found: archive.Archive, file: Path) -> str:
    """Return the name of the suite that a pack is of.

    Raises:
        RecordError: it names none.
    """
    name = found.about.get("suite")
    if not isinstance(name, str) or f"{name}/suite.yaml" not in found.members:
        raise RecordError(f"{file} is no pack: it holds no suite.\n  {archive.REMEDY}")
    return name


def jobs_of(suite: Suite) -> Iterator[tuple[str, str]]:
    """Yield kind and identifier of every job of ``suite``."""
    for kind in KINDS:
        known: Mapping[str, object] = getattr(suite, kind)
        yield from ((kind, key) for key in known)


def records_of(suite: Suite, results: Path, trusted: bool = True) -> dict[str, bytes]:
    """Return what the finished jobs of ``suite`` have left, by path below ``results``.

    Args:
        suite: Whose jobs are meant.
        results: Folder of all results.
        trusted: Whether each must be as it was written.

    Raises:
        RecordError: it is not.
    """
    found: dict[str, bytes] = {}
    for kind, key in jobs_of(suite):
        folder = results / kind / key
        if (folder / NAME).is_file():
            if trusted:
                read_result(folder)
            names = [NAME, SPEC, *files_of(folder)]
            paths = {f"{kind}/{key}/{name}": folder / name for name in names}
            found |= {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return found


def tables_in(folder: Path) -> dict[str, bytes]:
    """Return the collected tables in ``results/<suite>``, by path below ``results``."""
    paths = {f"{folder.name}/{name}": folder / name for name in OUTPUTS}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
