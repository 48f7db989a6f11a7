"""Names for files that are being written, and what becomes of those whose writer was killed."""

import contextlib
import os
import platform
import re
import shutil
import time
from pathlib import Path

HOST = re.sub(r"[^\w-]", "-", platform.node())[:40]
LONGEST = 100
"""Letters of the file's own name that go into the name of its draft."""
FORGOTTEN_S = 86_400
"""A draft of another machine that is older has lost its writer."""
_DRAFT = re.compile(r"\.(?P<file>.+)\.(?P<pid>\d+)@(?P<host>[\w-]*)", re.DOTALL)


def new_draft(path: Path) -> Path:
    """Return a neighbour of ``path``, to be written and then moved there.

    Drafts of the same file that killed processes left behind are removed.
    """
    own = path.name[:LONGEST]
    remove_lost(path.parent, own)
    return path.with_name(f".{own}.{os.getpid()}@{HOST}")


def remove_lost(folder: Path, own: str | None = None) -> None:
    """Remove the drafts that killed processes left in ``folder``.

    Args:
        folder: Where to look, not below it.
        own: Of this file alone; None: of all.
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            found = _DRAFT.fullmatch(entry.name)
            if found and own in (None, found["file"]) and _is_lost(Path(entry), found):
                _remove(Path(entry))


def _is_lost(draft: Path, name: re.Match[str]) -> bool:
    """Return whether the writer of a draft of that ``name`` has left it for good."""
    if name["host"] != HOST:
        return time.time() - draft.lstat().st_mtime > FORGOTTEN_S
    return int(name["pid"]) == os.getpid() or not is_alive(int(name["pid"]))


def is_alive(pid: int) -> bool:
    """Return whether this machine has a process ``pid``."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _remove(draft: Path) -> None:
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)
