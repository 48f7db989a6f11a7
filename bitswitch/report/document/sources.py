"""The document with all that it includes in one file, which compiles anywhere."""

import io
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from bitswitch.results.files import write_bytes

NAME = "report-sources.zip"

_TIME = (1980, 1, 1, 0, 0, 0)
"""Of all members: the same content makes the same bytes."""


def write(folder: Path, names: list[str], more: dict[str, bytes]) -> Path:
    """Write ``NAME`` below ``folder`` and return its path.

    Args:
        folder: ``results/<suite>``.
        names: Files in it.
        more: Other members by name.
    """
    members = {name: (folder / name).read_bytes() for name in names} | more
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name in sorted(members):
            entry = ZipInfo(name, _TIME)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, members[name])
    write_bytes(folder / NAME, buffer.getvalue())
    return folder / NAME
