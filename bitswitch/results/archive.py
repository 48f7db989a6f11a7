"""Many small files as one that vouches for them: an ordinary ``.tar.xz``, of the same bytes always.

Its first member says what it is, and the SHA-256 of every other one.
"""

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from bitswitch.errors import RecordError
from bitswitch.results.files import parse, write_bytes

SUFFIX = ".tar.xz"
CONTENTS = "contents.json"
"""The first member: what the archive is about, checksums of the others, and one of itself."""
FILES, OWN = "files", "sha256"
CHANGED = "is not as it was written"


class Archive(NamedTuple):
    """What a file holds."""

    about: dict[str, Any]
    members: dict[str, bytes]
    """By path, with slashes."""
    faults: tuple[tuple[str, str], ...] = ()
    """Members that are not as they were written, and what is wrong with each."""


def write(path: Path, members: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
    """Write an archive at once; the same content makes the same bytes.

    Args:
        path: Of the archive.
        members: Content by path, with slashes.
        about: JSON-like; says what the archive is.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    sums = {name: _sum(members[name]) for name in sorted(members)}
    body = {**about, FILES: sums}
    first = (json.dumps({**body, OWN: _own(body)}, indent=1) + "\n").encode()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:", format=tarfile.PAX_FORMAT) as file:
        for name, content in ((CONTENTS, first), *((name, members[name]) for name in sums)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    write_bytes(path, lzma.compress(whole.getvalue()))


def read(path: Path) -> Archive:
    """Return what an archive holds; what was changed in it is among the faults.

    Raises:
        RecordError: it is not there, truncated or damaged, or no archive of this kind.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompressed(path)), mode="r:") as file:
            members = dict(_members(file, path))
    except FileNotFoundError:
        raise RecordError(f"There is no file {path}.") from None
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise RecordError(
            f"{path} cannot be read: it is truncated, damaged or no pack ({error}).\n  {REMEDY}"
        ) from None
    if CONTENTS not in members:
        raise RecordError(f"{path} is no pack: it has no {CONTENTS}.\n  {REMEDY}")
    body = parse(members.pop(CONTENTS), f"{path}: {CONTENTS}", REMEDY)
    own, sums = body.pop(OWN, None), body.get(FILES)
    if not isinstance(sums, dict):
        raise RecordError(f"{path}: {CONTENTS} lists no files.\n  {REMEDY}")
    intact = own == _own(body)
    faults = [] if intact else [(CONTENTS, CHANGED)]
    faults += _faults(members, sums)
    del body[FILES]
    return Archive(body, members, tuple(faults))


REMEDY = "Copy it again, or pack the results again: bitswitch results pack SUITE"


def checked(path: Path) -> Archive:
    """Return what an archive holds, all of it as it was written.

    Raises:
        RecordError: see ``read``; or something was changed, added or left out.
    """
    archive = read(path)
    if archive.faults:
        (name, fault), *others = archive.faults
        more = f" (and {len(others)} more)" if others else ""
        raise RecordError(
            f"{path}: {name} {fault}{more}: it was damaged or edited.\n"
            f"  See what: bitswitch results verify {path}\n  {REMEDY}"
        )
    return archive


def unpack(members: Mapping[str, bytes], folder: Path) -> None:
    """Write ``members`` below ``folder``, which is of the caller's own."""
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _decompressed(path: Path) -> bytes:
    """Return what one whole stream of a file holds, its end and checksums included.

    Raises:
        LZMAError: it is truncated or damaged.
        OSError: it cannot be read.
    """
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    content = stream.decompress(path.read_bytes())
    if not stream.eof or stream.unused_data:
        raise lzma.LZMAError("data after its end" if stream.eof else "it ends too early")
    return content


def _members(file: tarfile.TarFile, path: Path) -> Iterable[tuple[str, bytes]]:
    """Yield name and content of every member, each of which must be a plain file below.

    Raises:
        RecordError: one is not.
    """
    seen = set()
    for entry in file:
        parts = PurePosixPath(entry.name).parts
        content = file.extractfile(entry) if entry.isfile() else None
        if content is None or ".." in parts or parts[:1] == ("/",) or entry.name in seen:
            raise RecordError(
                f"{path}: member '{entry.name}' is no plain file of its own below the archive: no "
                f"pack has such a one.\n  {REMEDY}"
            )
        seen.add(entry.name)
        yield entry.name, content.read()


def _faults(members: Mapping[str, bytes], sums: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what members are not those that ``sums`` list."""
    found = []
    for name in sorted(members.keys() | sums.keys()):
        if name not in members:
            found.append((name, "is missing"))
        elif name not in sums:
            found.append((name, "was added"))
        elif _sum(members[name]) != sums[name]:
            found.append((name, CHANGED))
    return found


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _own(body: Mapping[str, Any]) -> str:
    """Return the checksum of what JSON makes of ``body``."""
    plain = json.loads(json.dumps(body))
    return _sum(json.dumps(plain, sort_keys=True).encode())
