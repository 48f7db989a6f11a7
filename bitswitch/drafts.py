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


def new_draft(path: Path) -> Path:
    """Return a neighbour of ``path``, to be written and then moved there.

    Drafts of the same file that killed processes left behind are removed.
    """
    stem = f".{path.name[:LONGEST]}."
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent):
            if entry.name.startswith(stem) and _is_lost(Path(entry), entry.name[len(stem) :]):
                _remove(Path(entry))
    return path.with_name(f"{stem}{os.getpid()}@{HOST}")


def _is_lost(draft: Path, owner: str) -> bool:
    """Return whether ``owner`` is one, and has left its draft for good."""
    found = re.fullmatch(r"(\d+)@([\w-]*)", owner)
    if not found:
        return False
    if found[2] != HOST:
        return time.time() - draft.lstat().st_mtime > FORGOTTEN_S
    return int(found[1]) == os.getpid() or not is_alive(int(found[1]))


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
