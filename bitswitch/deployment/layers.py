"""Layers of an integer network: exact sums of products of codes, rescaled once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bitswitch.deployment.snapshot import REQUEST, Group, InputGrid
from bitswitch.nn.kinds import shape_of
from bitswitch.quant.per_bit import Key


class IntegerLayer(nn.Module):
    """What integer layers share.

    Codes are multiplied and added as float64, which is exact up to 2^53; sums are far below (see
    ``IntegerModel.bounds``). They are multiplied by the product of both scales in float64, those of
    groups of inputs are added up, all is rounded once to float32, and gets the bias in float32.
    """

    name: str
    """In the network."""
    bias: Tensor | None
    codes: Tensor
    """int8 [out, in / groups, ...]: what is stored, at the widest bit-width."""

    def forward(self, x: Tensor) -> Tensor:
        request = REQUEST.get()
        part = request.snapshot.layers[self.name]
        if part.grid is None:
            return self.products(x.float(), part.weight(), self.bias)
        grid = part.grid.of(x)
        codes = grid.encode(x).double()
        groups, seen = part.groups(), []
        total: Tensor | None = None
        for group in groups:
            piece = codes if len(groups) == 1 else self.piece(codes, group.inputs)
            weight = group.codes.double()
            sums = self.products(piece, weight).round_()  # were they not exact, they would be now
            if request.observe is not None:
                seen.append(sums)
            values = self._values(piece, sums, weight, group, grid)
            total = values if total is None else total + values
        assert total is not None
        if request.observe is not None:
            observed = seen[0] if len(seen) == 1 else torch.stack(seen, dim=-1)
            request.observe(self.name, codes, observed)
        output = total.float()
        return output if self.bias is None else output + self._by_channel(self.bias)

    def products(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the sums of products of ``x`` and ``weight``, in their precision."""
        raise NotImplementedError

    def piece(self, x: Tensor, inputs: slice) -> Tensor:
        """Return what is multiplied by ``weight[:, inputs]`` of the input ``x``."""
        raise NotImplementedError

    def _values(
        self, codes: Tensor, sums: Tensor, weight: Tensor, group: Group, grid: InputGrid
    ) -> Tensor:
        """Return what the accumulators of one group stand for, float64; padded zeros are 0."""
        ones = torch.ones_like
        values = sums * self._factor(group.scale, grid.scale)
        if grid.zero_point is not None:
            sums = self.products(ones(codes), weight)
            values = values + sums * self._factor(group.scale, grid.zero_point)
        if group.zero_point is not None:
            sums = self.products(codes, ones(weight))
            values = values + sums * self._factor(group.zero_point, grid.scale)
            if grid.zero_point is not None:
                sums = self.products(ones(codes), ones(weight))
                values = values + sums * self._factor(group.zero_point, grid.zero_point)
        return values

    def _factor(self, weight: Tensor, grid: Tensor) -> Tensor:
        """Return the product of two float32 numbers, float64: exact."""
        return self._by_channel(weight.double() * grid.double())

    def _by_channel(self, values: Tensor) -> Tensor:
        """Return ``values`` [1 or out] so that they broadcast to the output."""
        raise NotImplementedError


class IntegerConv2d(IntegerLayer, nn.Conv2d):
    """A convolution of input codes with weight codes.

    Args:
        conv: Whose stride, padding and groups are kept.
        name: In the network.
        codes: int8 [out, in / groups, kh, kw].
        bias: [out].
    """

    def __init__(self, conv: nn.Conv2d, name: str, codes: Tensor, bias: Tensor | None) -> None:
        nn.Conv2d.__init__(self, **shape_of(conv))
        _fill(self, name, codes, bias)

    def products(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output: Tensor = self._conv_forward(x, weight, bias)
        return output

    def piece(self, x: Tensor, inputs: slice) -> Tensor:
        parted = x.reshape(len(x), self.groups, -1, *x.shape[2:])
        return parted[:, :, inputs].flatten(1, 2)

    def _by_channel(self, values: Tensor) -> Tensor:
        return values.view(-1, 1, 1)


class IntegerLinear(IntegerLayer, nn.Linear):  # type: ignore[misc]
    """A linear layer from input codes [..., in] and weight codes.

    Args:
        linear: The float layer.
        name: In the network.
        codes: int8 [out, in].
        bias: [out].
    """

    def __init__(self, linear: nn.Linear, name: str, codes: Tensor, bias: Tensor | None) -> None:
        nn.Linear.__init__(self, linear.in_features, linear.out_features, False, device="meta")
        _fill(self, name, codes, bias)

    def products(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return nn.functional.linear(x, weight, bias)

    def piece(self, x: Tensor, inputs: slice) -> Tensor:
        return x[..., inputs]

    def _by_channel(self, values: Tensor) -> Tensor:
        return values


def _fill(layer: IntegerLayer, name: str, codes: Tensor, bias: Tensor | None) -> None:
    """Put integers where the float layer had its weight."""
    layer.name = name
    layer.register_parameter("weight", None)
    layer.register_parameter("bias", None)
    del layer.bias
    layer.register_buffer("bias", bias)
    layer.register_buffer("codes", codes)


class FoldedBatchNorm(nn.Module):
    """Batch norms of evaluation as one multiplication and one addition per channel.

    Args:
        name: In the network.
        keys: Names of the copies.
        multiplier: float32 [copies, channels].
        shift: The same.
    """

    multiplier: Tensor
    shift: Tensor

    def __init__(self, name: str, keys: Sequence[Key], multiplier: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.name = name
        self.keys = keys
        self.register_buffer("multiplier", multiplier)
        self.register_buffer("shift", shift)
        self._copies: dict[Key, tuple[Tensor, Tensor]] = {}

    def of(self, key: Key) -> tuple[Tensor, Tensor]:
        """Return multiplier and shift [channels] of one copy."""
        if not self._copies:
            rows = zip(self.multiplier, self.shift, strict=True)
            self._copies = dict(zip(self.keys, rows, strict=True))  # one assignment: threads agree
        return self._copies[key]

    def forward(self, x: Tensor) -> Tensor:
        multiplier, shift = REQUEST.get().snapshot.norms[self.name]
        shape = (-1, *[1] * (x.dim() - 2))
        return x * multiplier.view(shape) + shift.view(shape)
