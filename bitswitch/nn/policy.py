"""Policies: checked against a model and spelled out for every layer, or drawn at random."""

import operator
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch

from bitswitch.errors import BitWidthError, hint
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, BitSet, LayerBits, Policy, format_bitset


def resolve(
    policy: int | Policy, layers: Collection[str], bitset: BitSet, has_float: bool = True
) -> dict[str, tuple[int, int]]:
    """Return the (weight, activation) bit-widths of every layer.

    Args:
        policy: One bit-width for all layers, or a bit-width or pair for each.
        layers: Names of the quantized layers.
        bitset: Bit-widths of the model, widest first.
        has_float: Whether layers run at full precision too, as 32 bits.

    Raises:
        BitWidthError: an unknown bit-width or layer, or a layer that is missing.

    >>> resolve({"conv": (8, 4)}, ["conv"], (8, 4))
    {'conv': (8, 4)}
    """
    known = (*bitset, *([FLOAT_BITS] if has_float else []))
    if not isinstance(policy, Mapping):
        policy = dict.fromkeys(layers, _checked(policy, known, "the policy"))
    unknown = [name for name in policy if name not in layers]
    if unknown:
        raise BitWidthError(
            f"The policy names '{unknown[0]}', which is no quantized layer."
            f"{hint(unknown[0], layers)}\n  quantized: {', '.join(layers) or 'none'}"
        )
    missing = [name for name in layers if name not in policy]
    if missing:
        raise BitWidthError(
            f"The policy has no bit-width for layer '{missing[0]}' ({len(missing)} missing).\n"
            f"  Give every layer one of {_listed(known)}."
        )
    return {name: _pair(policy[name], known, f"layer '{name}'") for name in layers}


def random_policy(
    layers: Sequence[str], bitset: BitSet, generator: torch.Generator, independent: bool = False
) -> dict[str, LayerBits]:
    """Return a bit-width for every layer, drawn evenly and independently of other layers.

    Args:
        layers: Names of the quantized layers.
        bitset: Bit-widths of the model.
        generator: On the CPU.
        independent: Draw the weights' and the inputs' bit-width on their own.
    """
    operands = 2 if independent else 1
    draws = torch.randint(len(bitset), (len(layers), operands), generator=generator).tolist()
    return {
        name: (bitset[drawn[0]], bitset[drawn[-1]])
        for name, drawn in zip(layers, draws, strict=True)
    }


def _pair(bits: LayerBits, known: BitSet, where: str) -> tuple[int, int]:
    weight, activation = bits if isinstance(bits, tuple) and len(bits) == 2 else (bits, bits)
    return _checked(weight, known, where), _checked(activation, known, where)


def widest_first(bitset: Iterable[int]) -> BitSet:
    """Return ``bitset`` as what every part of a method relies on.

    Raises:
        BitWidthError: not distinct integers from the widest to the narrowest, or out of range.
    """
    try:
        widths = tuple(_whole(bits) for bits in bitset)
    except TypeError:
        raise BitWidthError(
            f"Bit set {bitset!r}: bit-widths are integers, e.g. (8, 4, 2)."
        ) from None
    if not widths or list(widths) != sorted(set(widths), reverse=True):
        right = tuple(sorted(set(widths), reverse=True)) or (8, 4, 2)
        raise BitWidthError(
            f"Bit set {widths} must be distinct bit-widths, widest first: write {right}."
        )
    if widths != (FLOAT_BITS,) and not MIN_BITS <= min(widths) <= max(widths) <= MAX_BITS:
        raise BitWidthError(
            f"Bit set {widths}: integer bit-widths are {MIN_BITS} to {MAX_BITS}; full precision is "
            f"({FLOAT_BITS},) alone."
        )
    return widths


def _whole(bits: object) -> int:
    """Return an integer of any library as Python's; nothing is rounded."""
    if isinstance(bits, bool):
        raise TypeError("a truth value is no number of bits")
    return operator.index(bits)  # type: ignore[arg-type]  # raises TypeError itself


def _listed(known: BitSet) -> str:
    """Return bit-widths as text; 32 is full precision."""
    widths = format_bitset(tuple(bits for bits in known if bits != FLOAT_BITS))
    return f"{widths}, or {FLOAT_BITS} for full precision" if FLOAT_BITS in known else widths


def _checked(bits: int, known: BitSet, where: str) -> int:
    """Return ``bits`` as a Python integer if the model has it."""
    try:
        bits = _whole(bits)
    except TypeError:
        raise BitWidthError(
            f"{where}: {bits!r} is no bit-width; it must be an integer.\n  it has: {_listed(known)}"
        ) from None
    if bits in known:
        return bits
    nearest = min(known, key=lambda candidate: abs(candidate - bits))
    raise BitWidthError(
        f"{where}: this model has no bit-width {bits}; the nearest is {nearest}.\n"
        f"  it has: {_listed(known)}"
    )
