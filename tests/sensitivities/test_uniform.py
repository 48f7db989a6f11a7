import pytest

from bitswitch.contracts.sensitivity import Scores
from bitswitch.sensitivities.uniform import Uniform

from .subjects import BITSET, LAYERS, subject_of


def found(**options):
    return Scores(tuple(Uniform(Uniform.Options(**options)).score(subject_of()).scores))


def test_every_layer_is_the_same():
    scores = found()
    assert [scores.of_layer(layer) for layer in LAYERS] == [1.0] * 3
    assert not scores.by_bits


def test_bit_widths_may_have_the_error_of_their_grid():
    scores = found(by_bits=True)
    assert scores.by_bits
    for layer in LAYERS:
        errors = [scores.of_policy(layer, bits, bits) for bits in BITSET]
        # A step twice as large has four times the squared error.
        assert errors[2] / errors[1] == pytest.approx((2 ** (4 - 2)) ** 2)
        assert errors[1] / errors[0] == pytest.approx((2 ** (8 - 4)) ** 2)
