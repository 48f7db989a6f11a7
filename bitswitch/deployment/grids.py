"""Read the grids of a quantizer off what it encodes, whatever its parameters are."""

from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.deployment.narrowing import RoundingRule, narrow
from bitswitch.deployment.snapshot import InputGrid
from bitswitch.errors import EncodingError
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.quant.integer import signed_range
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.types import BitSet

RULES: tuple[RoundingRule, ...] = ("half-even", "floor")
FAR = 1e30
"""Beyond the ends of every grid."""


class WeightGrids(NamedTuple):
    """The stored codes of a weight, and what they are worth at every bit-width."""

    codes: Tensor
    """int8, the shape of the weight, at the widest bit-width."""
    rounding: RoundingRule
    scale: Tensor
    """float32 [1 or widths, 1 or out]."""
    zero_point: Tensor | None
    """float32 [widths, 1 or out]."""


def weight_grids(name: str, layer: QuantizedLayer, bitset: BitSet) -> WeightGrids:
    """Return what to store of the weight of ``layer``.

    Args:
        name: Of the layer, for messages.
        layer: Quantized.
        bitset: Its bit-widths, widest first.

    Raises:
        EncodingError: narrow codes do not follow from the widest ones by a known rule.
    """
    quantizer = layer.weight_quantizer
    widths = [Width.of(bits, bitset) for bits in bitset]
    stored, *narrower = [quantizer.encode(layer.weight, width) for width in widths]
    try:
        quantizer.narrow(stored, widths[-1])
    except NotImplementedError as error:
        reason = str(error) or f"{type(quantizer).__name__} has no narrow()"
        raise EncodingError(f"Layer '{name}' cannot be exported: {reason}") from None
    low, high = signed_range(bitset[0])
    if stored.values.min() < low or stored.values.max() > high:
        raise EncodingError(
            f"Layer '{name}' cannot be exported: its codes at {bitset[0]} bits are "
            f"{int(stored.values.min())} to {int(stored.values.max())}, not {low} to {high}."
        )
    codes = stored.values.to(torch.int8).contiguous()
    encoded = [stored, *narrower]
    return WeightGrids(codes, _rule(name, codes, encoded, bitset), *_worth(encoded, widths))


def _rule(name: str, codes: Tensor, encoded: list[Codes], bitset: BitSet) -> RoundingRule:
    """Return the rule by which all narrow codes follow from the widest ones."""
    if len(bitset) == 1:
        return "none"
    for rule in RULES:
        if all(
            torch.equal(narrow(codes, bitset[0], bits, rule).int(), wanted.values)
            for bits, wanted in zip(bitset, encoded, strict=True)
        ):
            return rule
    raise EncodingError(
        f"Layer '{name}' cannot be exported: its narrow codes are neither rounded nor floored "
        f"from the widest ones.\n  Known rules: {', '.join(RULES)}"
    )


def _worth(encoded: list[Codes], widths: list[Width]) -> tuple[Tensor, Tensor | None]:
    """Return scales and zero points: one row of scales where narrow ones double."""
    scales = torch.stack([codes.scale.detach().float().flatten() for codes in encoded])
    if any(torch.as_tensor(codes.zero_point).any() for codes in encoded):
        zero_points = [torch.as_tensor(codes.zero_point).float().flatten() for codes in encoded]
        return scales, torch.stack([o.expand(scales.shape[1]) for o in zero_points]).contiguous()
    ratios = torch.tensor([float(width.ratio) for width in widths])
    shared = torch.equal(scales, scales[0] * ratios[:, None])
    return scales[:1].clone() if shared else scales, None


class InputGrids(NamedTuple):
    """The grids of an input at every bit-width."""

    signed: bool
    scale: Tensor
    """float32 [widths]."""
    zero_point: Tensor | None
    """float32 [widths]."""


def input_grids(name: str, quantizer: Quantizer, bitset: BitSet) -> InputGrids:
    """Return the grids of a layer's input.

    Args:
        name: Of the layer, for messages.
        quantizer: Of its input.
        bitset: Its bit-widths, widest first.

    Raises:
        EncodingError: a grid is not that of a scale and a zero point.
    """
    found = [_grid(name, quantizer, Width.of(bits, bitset)) for bits in bitset]
    signed = {grid.low < 0 for grid in found}
    if len(signed) > 1:
        raise EncodingError(f"Input of '{name}' is signed at some bit-widths alone.")
    zeros = [g.scale.new_zeros(()) if g.zero_point is None else g.zero_point for g in found]
    some = any(grid.zero_point is not None for grid in found)
    return InputGrids(
        signed.pop(), torch.stack([g.scale for g in found]), torch.stack(zeros) if some else None
    )


def _grid(name: str, quantizer: Quantizer, width: Width) -> InputGrid:
    """Return the grid at one bit-width, once it is known to give the codes of ``quantizer``."""
    ends = quantizer.encode(torch.tensor([-FAR, FAR]), width)
    low, high = ends.values.tolist()
    bits = int(width.bits)
    zero_point = torch.as_tensor(ends.zero_point).detach().float()
    scale = ends.scale.detach().float()
    problem = None
    if (low, high) not in (signed_range(bits), (0, 2**bits - 1)):
        problem = f"its codes at {bits} bits are {low} to {high}"
    elif scale.numel() != 1 or zero_point.numel() != 1:
        problem = "it has several scales, not one for the whole input"
    else:
        zero = zero_point.reshape(()) if zero_point.any() else None
        grid = InputGrid(scale.reshape(()), zero, low, high)
        inside = torch.arange(low - 2, high + 2)[:, None] + torch.tensor([-0.4, 0.0, 0.4])
        values = inside.flatten() * scale + zero_point
        if torch.equal(grid.encode(values), quantizer.encode(values, width).values.float()):
            return grid
        problem = f"its grid at {bits} bits is not even"
    raise EncodingError(f"Input of layer '{name}' cannot be exported: {problem}.")
