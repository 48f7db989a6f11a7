"""File locks that end with their process, and a folder that no other user can reach."""

import errno
import fcntl
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from bitswitch.errors import LockError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


def try_lock(path: Path) -> IO[str] | None:
    """Return ``path`` opened and locked, our process id in it; None while another holds it.

    A link in its place is not followed, and nothing in the file changes before it is ours.

    Raises:
        LockError: its file system has no locks.
        OSError: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o666), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            return None
        if error.errno in _NO_LOCKS:
            raise LockError(f"The file system of {path.parent} has no file locks.") from None
        raise
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def private_folder(parent: Path | None = None) -> Path:
    """Return a folder that is this user's alone, the same in all their processes here.

    It lies below the temporary folder, where anybody may have taken its name before; then in
    ``XDG_RUNTIME_DIR``, which comes second because it goes when its session ends and jobs stay.

    Args:
        parent: In place of the temporary folder.

    Raises:
        LockError: there is no such place.
    """
    places = [Path(parent or tempfile.gettempdir(), f"bitswitch-{os.geteuid()}")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        places.append(Path(runtime, "bitswitch"))
    for place in places:
        with suppress(OSError):
            place.mkdir(mode=0o700)
        if _is_private(place):
            return place
    raise LockError(
        f"{places[0]} is no folder that only you can open; another user may have made it.\n"
        f"  Look at it: ls -ld {places[0]}; if it is yours, remove it. Else name another place: "
        f"TMPDIR=FOLDER, the same for all your jobs on this machine."
    )


def _is_private(folder: Path) -> bool:
    """Return whether ``folder`` is one, no link to one, ours, and closed to everybody else."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    closed = not stat.S_IMODE(found.st_mode) & 0o077
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and closed


def keep_compiled_code_private() -> None:
    """Let torch keep compiled code where nobody else writes.

    That is ``~/.cache/bitswitch/compiled``, or a folder below the private one for a user without
    a home, unless ``TORCHINDUCTOR_CACHE_DIR`` names another. torch's own choice, made as it is
    imported, is a name in the temporary folder that can be foreseen.
    """
    with suppress(LockError):
        try:
            home = Path.home()
        except RuntimeError:
            home = Path()
        usable = home.is_absolute() and os.access(home, os.W_OK)
        folder = home / ".cache" / "bitswitch" if usable else private_folder()
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "compiled"))
