"""Integer arithmetic as a deployed network does it; no floating point."""

from torch import Tensor


def signed_range(bits: int) -> tuple[int, int]:
    """Return the smallest and largest signed code of ``bits``.

    >>> signed_range(2)
    (-2, 1)
    """
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def shift_half_even(codes: Tensor, shift: int) -> Tensor:
    """Return ``codes / 2 ** shift`` rounded to nearest, ties to even, by integer operations.

    An arithmetic right shift alone is a floor; adding half a step first, or one less than half
    where the result would be even, turns it into the rounding that training uses.

    Args:
        codes: int32, any shape, below 2 ** 30 in magnitude.
        shift: Bits to drop, ``0 <= shift <= 8``.

    >>> import torch
    >>> shift_half_even(torch.tensor([-6, -2, 2, 3, 6], dtype=torch.int32), 2).tolist()
    [-2, 0, 0, 1, 2]
    """
    if shift == 0:
        return codes
    odd = (codes >> shift) & 1
    narrow: Tensor = (codes + odd + (2 ** (shift - 1) - 1)) >> shift
    return narrow


def cascade_half_even(codes: Tensor, shift: int) -> Tensor:
    """Return ``codes`` halved ``shift`` times, each time rounded to nearest, ties to even.

    Equal to ``shift_half_even`` up to two halvings; three and more move what lies between the
    nearest code and the even one beside it. Clipping to the ranges in between would change nothing.

    Args:
        codes: int32, any shape, below 2 ** 30 in magnitude.
        shift: Bits to drop, 0 or more.

    >>> import torch
    >>> codes = torch.tensor([-11, -5, 3, 5, 11], dtype=torch.int32)
    >>> cascade_half_even(codes, 3).tolist(), shift_half_even(codes, 3).tolist()
    ([-2, 0, 0, 0, 2], [-1, -1, 0, 1, 1])
    """
    for _ in range(shift):
        codes = shift_half_even(codes, 1)
    return codes


def shift_half_up(codes: Tensor, shift: int) -> Tensor:
    """Return ``codes / 2 ** shift`` rounded to nearest, ties up, by integer operations.

    The highest of the bits that are dropped is added to what is left.

    Args:
        codes: Integers, any shape.
        shift: Bits to drop, 0 or more.

    >>> import torch
    >>> shift_half_up(torch.tensor([-6, -2, 2, 3, 6], dtype=torch.int32), 2).tolist()
    [-1, 0, 1, 1, 2]
    """
    if shift == 0:
        return codes
    narrow: Tensor = (codes >> shift) + ((codes >> (shift - 1)) & 1)
    return narrow
