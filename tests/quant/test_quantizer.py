import torch

from bitswitch.quant.quantizer import Codes, Width


def test_width_spells_out_a_bit_width():
    assert Width.of(4, (8, 6, 4)) == (4, 2, 16, -8, 7, 15)


def test_codes_decode_to_real_values():
    codes = Codes(torch.tensor([-1, 2], dtype=torch.int32), torch.tensor(0.5), zero_point=1.0)
    assert codes.decode().tolist() == [0.5, 2.0]
