"""Read the grids of a quantizer off what it encodes, whatever its parameters are."""

from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.deployment.narrowing import RoundingRule, narrow
from bitswitch.deployment.snapshot import InputGrid, TokenGrid
from bitswitch.errors import EncodingError
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.quant.granularity import PerChannel, PerToken
from bitswitch.quant.integer import signed_range
from bitswitch.quant.quantizer import Codes, Quantizer, Width
from bitswitch.types import BitSet

RULES: tuple[RoundingRule, ...] = ("half-even", "cascade", "floor", "half-up", "half-up-extra")
_TOKENS = 64, 48
"""Shape of the tokens that a rule for scales is tried on."""
FAR = 1e30
"""Beyond the ends of every grid."""


class WeightGrids(NamedTuple):
    """The stored codes of a weight, and their scales at every bit-width."""

    codes: Tensor
    """int8, the shape of the weight, at the widest bit-width."""
    rounding: RoundingRule
    scale: Tensor
    """float32 [1 or widths, 1 or out], per group [1 or widths, out, groups]."""
    zero_point: Tensor | None
    """float32, alike: one row where all bit-widths have the same."""


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
    return WeightGrids(codes, _rule(name, codes, encoded, bitset), *_scales(name, encoded, widths))


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


def _scales(name: str, encoded: list[Codes], widths: list[Width]) -> tuple[Tensor, Tensor | None]:
    """Return scales and zero points: a row where narrow scales double, or zero points agree."""
    shape = _shared_by(name, encoded[0])
    scales = torch.stack([codes.scale.detach().float().reshape(shape) for codes in encoded])
    ratios = torch.tensor([float(width.ratio) for width in widths])
    doubled = scales[0] * ratios.view(-1, *[1] * len(shape))
    return _shared(scales, doubled), _zero_points(encoded, shape)


def _zero_points(encoded: list[Codes], shape: tuple[int, ...]) -> Tensor | None:
    """Return the zero points, None where all are 0."""
    found = [torch.as_tensor(codes.zero_point).detach().float() for codes in encoded]
    if not any(zero_point.any() for zero_point in found):
        return None
    rows = torch.stack([z.expand(shape) if z.numel() == 1 else z.reshape(shape) for z in found])
    return _shared(rows, rows[:1])


def _shared(rows: Tensor, from_first: Tensor) -> Tensor:
    """Return the first of ``rows`` alone if all are what follows from it."""
    return (rows[:1] if torch.equal(rows, from_first.expand_as(rows)) else rows).clone()


def _shared_by(name: str, codes: Codes) -> tuple[int, ...]:
    """Return the shape of the scales in a file: (1,), (out,) or (out, groups).

    Raises:
        EncodingError: inputs have scales that no sum of products can take out.
    """
    scale, out = codes.scale, len(codes.values)
    if scale.numel() == 1:
        return (1,)
    if scale.dim() > 1 and scale.shape[0] == out and scale.numel() == out * scale.shape[1]:
        return (out,) if scale.shape[1] == 1 else (out, scale.shape[1])
    raise EncodingError(
        f"Layer '{name}' cannot be exported: its weights {list(codes.values.shape)} have scales "
        f"{list(scale.shape)}.\n  Integers can have one scale per tensor, output channel or group "
        f"of inputs: {PerChannel().scale_shape(codes.values.shape)}, for example."
    )


class InputGrids(NamedTuple):
    """The grids of an input at every bit-width."""

    signed: bool
    scale: Tensor | None
    """float32 [widths]; None: every token has its own."""
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
    if isinstance(quantizer.granularity, PerToken):
        for bits in bitset:
            _check_tokens(name, quantizer, Width.of(bits, bitset))
        return InputGrids(True, None, None)
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


def _check_tokens(name: str, quantizer: Quantizer, width: Width) -> None:
    """Compare what ``quantizer`` gives with the rule that a file has for scales per token.

    Raises:
        EncodingError: it follows another rule.
    """
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randn(_TOKENS, generator=draw) * torch.logspace(-6, 6, _TOKENS[0])[:, None]
    tokens[0] = 0.0
    codes, grid = quantizer.encode(tokens, width), TokenGrid.at(int(width.bits)).of(tokens)
    if not torch.equal(grid.encode(tokens), codes.values.float()) or not torch.equal(
        grid.scale, codes.scale.float()
    ):
        raise EncodingError(
            f"Input of layer '{name}' cannot be exported: its scale per token is not the largest "
            f"magnitude over the largest signed code, which is the rule that files know."
        )
