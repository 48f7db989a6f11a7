"""Narrow codes from the stored ones: integer operations on bytes, a few passes over them."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

RoundingRule = Literal["half-even", "cascade", "half-up", "half-up-extra", "floor", "none"]
"""How ``narrow`` drops bits. ``half-even``: to nearest, ties to even, clipped; ``cascade``: the
same, bit by bit; ``half-up``: to nearest, ties up, clipped; ``half-up-extra``: not clipped, so that
2^b + 1 codes may occur; ``floor``: an arithmetic right shift; ``none``: only the stored bit-width
is there."""

BLOCK = 2**20
"""Codes that are worked on at a time: their passes stay in the cache of the processor."""


def narrow(codes: Tensor, stored: int, bits: int, rounding: RoundingRule) -> Tensor:
    """Return the codes of ``bits`` from those of ``stored`` bits, int8, same shape.

    The stored codes themselves where both are equal. Equal to ``shift_half_even``,
    ``cascade_half_even`` or ``shift_half_up`` with a clip to the signed range, but in 8 bits, which
    cannot overflow: codes that would round beyond the largest narrow code are brought down to the
    largest one that does not, before they are rounded.

    Args:
        codes: int8, in the signed range of ``stored`` bits; contiguous in any memory format.
        stored: Bit-width of ``codes``, at most 8.
        bits: At least 2, at most ``stored``.
        rounding: The rule.

    >>> narrow(torch.tensor([-6, -2, 2, 3, 6, 7], dtype=torch.int8), 4, 2, "half-even").tolist()
    [-2, 0, 0, 1, 1, 1]
    """
    shift = stored - bits
    if shift == 0:
        return codes
    if rounding == "floor":
        return torch.bitwise_right_shift(codes, shift)
    result = torch.empty_like(codes)  # keeps the memory format: flat views below are in step
    largest = 2 ** (bits - 1) - 1
    if rounding == "half-up":
        return _half_up(codes, shift, largest, result)
    if rounding == "half-up-extra":
        torch.bitwise_right_shift(codes, shift, out=result)
        return result.add_(torch.bitwise_right_shift(codes, shift - 1).bitwise_and_(1))
    steps = [shift] if rounding == "half-even" else [1] * shift
    if codes.numel() <= BLOCK:
        _in_steps(codes, steps, largest, torch.empty_like(codes), result)
        return result
    buffer = codes.new_empty(BLOCK)
    blocks = zip(_blocks(codes), _blocks(result), strict=True)
    for block, out in blocks:
        _in_steps(block, steps, largest, buffer[: len(block)], out)
    return result


def _in_steps(
    codes: Tensor, steps: Sequence[int], largest: int, buffer: Tensor, out: Tensor
) -> None:
    """Write ``codes``, rounded half to even by so many bits in each step, to ``out``."""
    left = sum(steps)
    for step in steps:
        left -= step
        _half_even(codes, step, ((largest + 1) << left) - 1, buffer, out)
        codes = out


def _half_even(codes: Tensor, shift: int, largest: int, buffer: Tensor, out: Tensor) -> None:
    """Write ``codes / 2 ** shift`` rounded half to even, at most ``largest``, to ``out``.

    A half rounds up where the narrow code below it is odd: its last bit, 0 or ``2 ** shift``, is
    clamped to what is added before the shift, ``half - 1`` or ``half``. ``out`` may be ``codes``.
    """
    half = 2 ** (shift - 1)
    torch.clamp(codes, max=(largest << shift) + half - 1, out=buffer)
    torch.bitwise_and(codes, 1 << shift, out=out)
    out.clamp_(half - 1, half).add_(buffer).bitwise_right_shift_(shift)


def _half_up(codes: Tensor, shift: int, largest: int, out: Tensor) -> Tensor:
    """Write ``codes / 2 ** shift`` rounded half up, at most ``largest``, to ``out``; return it.

    Half a narrow code is added, then a shift floors; codes that this would take beyond ``largest``
    are clamped before.
    """
    half = 2 ** (shift - 1)
    torch.clamp(codes, max=(largest << shift) + half - 1, out=out)
    return out.add_(half).bitwise_right_shift_(shift)


def _blocks(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return one-dimensional views of a dense tensor, in the order of memory."""
    return torch.split(tensor.as_strided((tensor.numel(),), (1,)), BLOCK)
