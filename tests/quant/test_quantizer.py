import pkgutil
from importlib import import_module

import pytest
import torch

from bitswitch.methods.eq_net.elastic import ElasticQuantizer
from bitswitch.methods.lapq.clip_value import ClipQuantizer
from bitswitch.methods.matquant.sliced import SlicedQuantizer
from bitswitch.quant.quantizer import Codes, Quantizer, Width

BASES = (ElasticQuantizer, ClipQuantizer, SlicedQuantizer)
"""Of quantizers: what they leave open, no numbers can show."""


def test_width_spells_out_a_bit_width():
    assert Width.of(4, (8, 6, 4)) == (4, 2, 16, -8, 7, 15)


def test_codes_decode_to_real_values():
    codes = Codes(torch.tensor([-1, 2], dtype=torch.int32), torch.tensor(0.5), zero_point=1.0)
    assert codes.decode().tolist() == [0.5, 2.0]


def quantizers(base=Quantizer):
    """Yield all quantizers of the package that compute something."""
    for one in base.__subclasses__():
        if one.__module__.startswith("bitswitch."):
            yield from [one] if one not in BASES else ()
            yield from quantizers(one)


@pytest.mark.parametrize("module", ["bitswitch.quant", "bitswitch.methods"])
def test_every_quantizer_shows_itself_on_numbers(module):
    folder = import_module(module).__path__
    for found in pkgutil.walk_packages(folder, f"{module}."):
        import_module(found.name)
    silent = {one.__name__ for one in quantizers() if ">>> " not in (one.__doc__ or "")}
    assert not silent
