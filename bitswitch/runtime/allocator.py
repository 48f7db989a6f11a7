"""Keep freed memory: the next pass wants it back."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt``; see its manual page."""
_MOST_KEPT, _LARGEST_IN_HEAP = 2**31 - 1, 2**25
"""Bytes; the second is the most that glibc accepts."""


def keep_freed_memory() -> bool:
    """Have the C library keep what tensors on the processor free, instead of returning it.

    At the end of a training pass all activations are freed. The library returns them to the
    operating system and gets them back, cleared, page by page in the next pass, which costs a
    tenth of an eager joint step. Peak memory is the same; the process holds it until it ends.

    Returns:
        Whether the C library can do that; only glibc can.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_IN_HEAP) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT))
