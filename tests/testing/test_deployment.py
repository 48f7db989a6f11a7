import pytest
import torch

from bitswitch.quant.quantizer import Codes
from bitswitch.testing import CheckFailed, Subject
from bitswitch.testing.deployment import (
    codes_are_integers_of_the_width,
    narrow_codes_come_from_the_widest,
    quantizing_twice_gives_the_same,
    trained_value_is_the_deployed_one,
)
from bitswitch.types import FLOAT_BITS
from tests.testing.plain import CARD, Plain, PlainQuantizer


def with_quantizer(cls, storage="floats"):
    return type("Broken", (Plain,), {"quantizer": cls, "card": CARD._replace(storage=storage)})


class OtherWorth(PlainQuantizer):
    def encode(self, x, width):
        codes = super().encode(x, width)
        return codes._replace(scale=codes.scale * (1 + 1e-6))


class OtherShape(PlainQuantizer):
    def encode(self, x, width):
        codes = super().encode(x, width)
        return codes._replace(values=codes.values.flatten())


class FloatCodes(PlainQuantizer):
    def encode(self, x, width):
        codes = super().encode(x, width)
        return codes._replace(values=codes.values.float())


class TooManyCodes(PlainQuantizer):
    def encode(self, x, width):
        return Codes((x * 1000).round().int(), torch.tensor(0.001))


class Noisy(PlainQuantizer):
    def forward(self, x, width):
        return super().forward(x + torch.randn_like(x), width)


class WrongNarrow(PlainQuantizer):
    def narrow(self, codes, width):
        return codes


BROKEN = {
    "another scale": (trained_value_is_the_deployed_one, OtherWorth, "weight of layer '3'.*differ"),
    "another shape": (trained_value_is_the_deployed_one, OtherShape, "gives shape"),
    "float codes": (codes_are_integers_of_the_width, FloatCodes, "torch.float32"),
    "too many codes": (
        codes_are_integers_of_the_width,
        TooManyCodes,
        "which do not fit",
    ),
    "noise": (quantizing_twice_gives_the_same, Noisy, "two calls of forward"),
}


@pytest.mark.parametrize(("check", "quantizer", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_quantizer_is_told(subject_of, check, quantizer, message):
    with pytest.raises(CheckFailed, match=message):
        check(subject_of(with_quantizer(quantizer)))


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [(PlainQuantizer, "has no narrow"), (WrongNarrow, r"codes rebuilt by narrow\(\)")],
)
def test_storage_is_not_believed(subject_of, quantizer, message):
    broken = with_quantizer(quantizer, storage="codes")
    with pytest.raises(CheckFailed, match=message):
        narrow_codes_come_from_the_widest(subject_of(broken))
    narrow_codes_come_from_the_widest(subject_of(with_quantizer(quantizer)))


class OnlyEven(Plain):
    def skip(self, spec):
        odd = any(bits % 2 for bits in spec.bitset)
        return "its bit-widths are even" if odd else None


def test_every_width_is_looked_at_unless_refused(subject_of):
    assert subject_of(Plain).wide.bitset == (8, 7, 6, 5, 4, 3, 2)
    assert subject_of(OnlyEven).wide.bitset == (8, 4, 2)


def test_full_precision_has_nothing_to_store():
    subject = Subject.of("float32")
    assert subject.bitset == (FLOAT_BITS,)
    narrow_codes_come_from_the_widest(subject)
    trained_value_is_the_deployed_one(subject)
