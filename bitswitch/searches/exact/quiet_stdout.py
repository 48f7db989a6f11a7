"""Keep what compiled code prints off the standard output."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced() -> Iterator[None]:
    """Discard what the process prints inside, whoever prints it.

    HiGHS 1.12 prints "transformNewIntegerFeasibleSolution tmpSolver.run()" by printf, with its
    ``output_flag`` off and with presolve off alike: no option turns it off. Standard output is for
    results, with ``--json`` for nothing else.
    """
    flush = ctypes.CDLL(None).fflush
    sys.stdout.flush()
    flush(None)
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  (a device, not a file)
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        flush(None)  # what compiled code has buffered is printed now, to nowhere
        os.dup2(kept, 1)
        os.close(kept)
