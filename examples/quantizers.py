"""Grids, scales and codes: what a weight becomes at every bit-width, from one stored integer."""

import torch
from torch import Tensor

import bitswitch as bs

BITSET: bs.BitSet = (8, 4, 2)


class Halves(bs.Quantizer):
    """A quantizer of one's own: a learned distance of codes for every bit-width, and no more."""

    def __init__(self, bitset: bs.BitSet, start: float) -> None:
        super().__init__()
        self.scale = bs.PerBit(bitset, bs.Scale(torch.tensor(start)))

    def forward(self, x: Tensor, width: bs.Width) -> Tensor:
        """Return values on the grid, with straight-through gradients."""
        low, high = _bounds(width)
        return bs.on_grid(bs.at_least_float32(x), self.scale.at(width.index), low, high)

    @torch.no_grad()
    def encode(self, x: Tensor, width: bs.Width) -> bs.Codes:
        """Return the integers that are stored."""
        scale = self.scale.at(width.index)
        codes = bs.grid_codes(bs.at_least_float32(x), scale, *_bounds(width))
        return bs.Codes(bs.integers(codes), scale)


def _bounds(width: bs.Width) -> tuple[bs.Number, bs.Number]:
    """Return the ends of the grid: numbers, or tensors in a graph that serves every bit-width."""
    return width.signed_low, width.signed_high


def main() -> None:
    """Show codes, gradients and granularities of one weight."""
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))

    print(f"integers have {bs.MIN_BITS} to {bs.MAX_BITS} bits")
    print("learned scales (LSQ), one for every bit-width")
    learned = bs.WeightQuantizer(weight, BITSET)
    for bits in BITSET:
        width = bs.Width.of(bits, BITSET)
        codes = learned.encode(weight, width)
        exact = torch.equal(codes.decode(), learned(weight, width))
        low, high = int(codes.values.min()), int(codes.values.max())
        print(f"  {bits} bits: codes {low} to {high}; decoded as trained, bit for bit: {exact}")

    print("nested codes (Double Rounding): narrow ones follow from the stored ones")
    method = bs.create("methods", "double-rounding", {}, BITSET)
    nested = method.weight_quantizer(weight)
    stored = nested.encode(weight, bs.Width.of(8, BITSET)).values
    narrow = nested.encode(weight, bs.Width.of(4, BITSET)).values
    again = bs.clip((stored / 2**4).round(), -8, 7).to(torch.int32)
    print(f"  4-bit codes equal those rounded from 8-bit ones: {torch.equal(narrow, again)}")

    print("inputs of a layer after a ReLU")
    inputs = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    activations = bs.ActivationQuantizer(BITSET)
    error = (activations(inputs, bs.Width.of(4, BITSET)) - inputs).abs().max()
    print(f"  before calibration, largest error at 4 bits: {error:.2f}")

    print("a quantizer of one's own")
    own = Halves(BITSET, start=0.5)
    own(weight, bs.Width.of(4, BITSET)).sum().backward()
    used = [name for name, part in own.named_parameters() if part.grad is not None]
    print(f"  a pass at 4 bits gives a gradient to: {', '.join(used)}")

    print("granularity: which weights share a scale")
    words: list[bs.Granularity] = [bs.PER_TENSOR, bs.PerTensor(), bs.PerChannel(), bs.PerGroup(1)]
    for one in words:
        print(f"  {one}: scales of shape {list(one.scale_shape(weight.shape))}")
    print(f"  of inputs of a language model, {bs.PerToken()}")


if __name__ == "__main__":
    main()
