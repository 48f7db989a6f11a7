"""What the folder of the results allows: files, space, times and locks."""

import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from bitswitch.doctor.finding import Finding, size
from bitswitch.errors import LockError
from bitswitch.runtime.locks import try_lock

LEAST_MIB = 1024
"""Room that the results of the default suite take, with some to spare."""
MOST_SKEW_S = 2.0
"""By which the clock of the file system may differ from that of this machine."""
RESULTS = Path("results")


def findings() -> Iterator[Finding]:
    """Look at the working folder; that of results may lie elsewhere, or be another user's."""
    yield from _of(Path.cwd())
    if RESULTS.exists():
        yield from (finding for finding in _of(RESULTS.resolve()) if finding.state != "ok")


def _of(folder: Path) -> Iterator[Finding]:
    try:
        with TemporaryDirectory(dir=folder, prefix=".checkup-") as made:
            yield from _usable(folder, Path(made))
    except OSError as error:
        mend = f"{shlex.join(['ls', '-ld', str(folder)])}; id   # make it yours, or take another"
        problem = f"cannot write in {folder}: {error.strerror}"
        yield Finding("write rights", "broken", problem, "every job", mend, stops=True)


def _usable(folder: Path, made: Path) -> Iterator[Finding]:
    """Look at ``folder`` through a new folder ``made`` in it."""
    yield Finding("write rights", "ok", f"in {folder}", "every job")
    yield _space(folder)
    yield _clock(made)
    yield _locks(folder, made)


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 2**20
    if free >= LEAST_MIB:
        return Finding("disk", "ok", f"{size(free)} free", "results")
    problem = f"{size(free)} free; {size(LEAST_MIB)} are needed"
    sizes = shlex.join(["du", "-xh", "--max-depth", "2", str(folder)])
    mend = f"{sizes} | sort -h | tail   # then make room"
    return Finding("disk", "broken", problem, "results", mend, stops=True)


def _clock(made: Path) -> Finding:
    """Compare the times of files, by which Snakemake decides, with the clock of this machine."""
    with NamedTemporaryFile(dir=made) as file:
        skew = Path(file.name).stat().st_mtime - time.time()
    if abs(skew) <= MOST_SKEW_S:
        return Finding("clock", "ok", "agrees with the times of files", "Snakemake")
    way = "ahead of" if skew > 0 else "behind"
    problem = f"files are {abs(skew):.0f} s {way} this machine's clock"
    mend = "sudo timedatectl set-ntp true   # here, and where the files lie"
    return Finding("clock", "broken", problem, "Snakemake: what is out of date", mend, stops=True)


def _locks(folder: Path, made: Path) -> Finding:
    """Look whether a lock keeps a second one out."""
    needed_by = "runs that are not trained twice at once, unlocking after a crash"
    mend = "snakemake --cores 8 --directory FOLDER all   # one on a local disk"
    try:
        first = try_lock(made / "lock")
        second = try_lock(made / "lock")
    except LockError as error:
        return Finding("file locks", "broken", str(error), needed_by, mend)
    held = first is not None and second is None
    for lock in (first, second):
        if lock is not None:
            lock.close()
    if held:
        return Finding("file locks", "ok", f"work in {folder}", needed_by)
    problem = f"two hold one lock in {folder}, which keeps nobody out"
    return Finding("file locks", "broken", problem, needed_by, mend)
