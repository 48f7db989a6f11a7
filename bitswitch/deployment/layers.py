"""Layers of an integer network: exact sums of products of codes, rescaled once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bitswitch.deployment.snapshot import REQUEST, InputGrid, Operands
from bitswitch.quant.per_bit import Key


class IntegerLayer(nn.Module):
    """What integer layers share.

    Codes are multiplied and added as float64, which is exact up to 2^53; sums are far below (see
    ``IntegerModel.bounds``). They are multiplied by the product of both scales in float64, rounded
    once to float32, and get the bias in float32.
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
        codes, weight = part.grid.encode(x).double(), part.codes.double()
        sums = self.products(codes, weight).round_()  # were they not exact, they would be now
        if request.observe is not None:
            request.observe(self.name, codes, sums)
        values = sums * self._factor(part.weight_scale, part.grid.scale)
        output = self._with_zero_points(values, codes, weight, part, part.grid).float()
        return output if self.bias is None else output + self._by_channel(self.bias)

    def products(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the sums of products of ``x`` and ``weight``, in their precision."""
        raise NotImplementedError

    def _with_zero_points(
        self, values: Tensor, codes: Tensor, weight: Tensor, part: Operands, grid: InputGrid
    ) -> Tensor:
        """Return ``values`` plus what codes of zero are worth; padded zeros are worth 0."""
        ones = torch.ones_like
        if grid.zero_point is not None:
            sums = self.products(ones(codes), weight)
            values = values + sums * self._factor(part.weight_scale, grid.zero_point)
        if part.weight_zero_point is not None:
            sums = self.products(codes, ones(weight))
            values = values + sums * self._factor(part.weight_zero_point, grid.scale)
            if grid.zero_point is not None:
                sums = self.products(ones(codes), ones(weight))
                values = values + sums * self._factor(part.weight_zero_point, grid.zero_point)
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
        nn.Conv2d.__init__(
            self,
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]  # always a pair by now
            stride=conv.stride,  # type: ignore[arg-type]
            padding=conv.padding,  # type: ignore[arg-type]
            dilation=conv.dilation,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=False,
            padding_mode=conv.padding_mode,
            device="meta",
        )
        _fill(self, name, codes, bias)

    def products(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output: Tensor = self._conv_forward(x, weight, bias)
        return output

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
