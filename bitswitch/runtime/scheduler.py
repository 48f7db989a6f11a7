"""What Snakemake needs of the folder it works in, done while the Snakefile is read."""

import fcntl
import getpass
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import IO

from bitswitch.runtime.cache import digest

FOLDER, LOCKS = Path(".snakemake/bitswitch"), Path(".snakemake/locks")
"""Below the working directory."""
_present: list[IO[str]] = []
"""What this process holds until it ends."""


def enter() -> bool:
    """Count this process among the Snakemakes at work here, and remove a lock that none has.

    Each holds a shared lock of the operating system on one file, until it ends in whatever way.
    Where none holds it, whatever Snakemake has locked is of one that was killed. Locks may reach
    no farther than a machine, so a lock that another one took stays, and so does any where the
    file system has none.

    Returns:
        Whether a lock was removed.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = (FOLDER / "present").open("a+")
    _present.append(file)
    stale = False
    with suppress(OSError):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stale = _unlock(file)
        fcntl.flock(file, fcntl.LOCK_SH)
    return stale


def _unlock(file: IO[str]) -> bool:
    """Remove what a Snakemake of this machine left locked, and note that this machine is next."""
    file.seek(0)
    left = list(LOCKS.glob("*.lock"))
    if left and file.read() != platform.node():
        return False
    file.truncate(0)
    file.write(platform.node())
    file.flush()
    for lock in left:
        lock.unlink(missing_ok=True)
    return bool(left)


def name_user() -> None:
    """Give a user without a name, as containers have them, one: Snakemake asks for it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())


def without_wildcards(path: Path) -> Path:
    """Return a path of the same file in which Snakemake finds no wildcards.

    It takes braces for wildcards and knows no way to escape them. So the path is relative where
    it can be, and leads through a link where braces are left.
    """
    path = path.absolute()
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    if "{" not in str(path):
        return path
    link = FOLDER / "links" / digest(str(path.absolute()))
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(path.absolute())
    return link
