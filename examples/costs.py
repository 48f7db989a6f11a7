"""What a policy costs, and which policies a budget allows."""

import torch

import bitswitch as bs
from bitswitch.costs import LayerShape

BITSET: bs.BitSet = (8, 4, 2)


def shape(name: str, channels: int, side: int, fixed_bits: int | None = None) -> LayerShape:
    """Return what the cost model has to know of a 3x3 convolution.

    Args:
        name: Of the layer.
        channels: In and out.
        side: Of its output, in pixels.
        fixed_bits: Bit-width that no policy changes; None: it is switchable.
    """
    weights = channels * channels * 9
    pixels = side * side
    return LayerShape(
        name=name,
        kind="conv",
        weights=weights,
        macs=weights * pixels,
        inputs=channels * pixels,
        scales=1,
        in_channels=channels,
        out_channels=channels,
        kernel=3,
        stride=1,
        groups=1,
        fixed_bits=fixed_bits,
        is_first_last=fixed_bits is not None,
    )


def main() -> None:
    """Price some policies of three layers."""
    layers = [shape("first", 3, 32, fixed_bits=8), shape("middle", 16, 32), shape("deep", 64, 8)]
    costs = bs.CostModel(layers)
    uniform: bs.Policy = {"middle": 4, "deep": 4}
    mixed: dict[str, bs.LayerBits] = {"middle": 8, "deep": (2, 4)}
    for title, policy in (("4 bits everywhere", uniform), ("wide, then narrow", mixed)):
        found = costs.costs(policy)
        print(
            f"{title}: {found.bitops / 1e6:.0f} MBitOps, {found.size / 8192:.1f} KiB, "
            f"{found.average_bits:g} bits on average, {found.weighted_average_bits:.2f} by weights"
        )
    limit = bs.Constraint("average-bits", 5)
    drawn = torch.Generator().manual_seed(0)
    names = [layer.name for layer in costs.layers]
    for _ in range(3):
        policy = bs.random_policy(names, BITSET, drawn)
        verdict = "within" if limit.allows(costs, policy) else "above"
        print(f"{policy}: {verdict} 5 bits on average")


if __name__ == "__main__":
    main()
