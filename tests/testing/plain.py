"""A method that keeps its contract, for others to break in one place."""

import torch

from bitswitch.contracts.card import Card
from bitswitch.contracts.method import Method
from bitswitch.quant.grid import grid_codes, integers
from bitswitch.quant.per_bit import PerBit
from bitswitch.quant.quantizer import Codes, Quantizer
from bitswitch.quant.scale import Scale
from bitswitch.quant.ste import on_grid

CARD = Card("Plain", fidelity="equations", storage="floats", licence="MIT")


class PlainQuantizer(Quantizer):
    def __init__(self, weight, bitset):
        super().__init__()
        self.scale = PerBit(bitset, Scale(weight.abs().max() / 2))

    def forward(self, x, width):
        step = self.scale.at(width.index)
        return on_grid(x, step, width.signed_low, width.signed_high)

    @torch.no_grad()
    def encode(self, x, width):
        step = self.scale.at(width.index)
        codes = grid_codes(x, step, width.signed_low, width.signed_high)
        return Codes(integers(codes), step)


class Plain(Method):
    source = "someone2020plain"
    card = CARD
    quantizer = PlainQuantizer

    def weight_quantizer(self, weight):
        return self.quantizer(weight, self.bitset)
