import pytest
import torch

from bitswitch.contracts.sensitivity import Scores
from bitswitch.sensitivities.quantization_error import QuantizationError
from bitswitch.sensitivities.weight_error import squared_weight_errors

from .subjects import BITSET, LAYERS, state_of, subject_of


def scored(subject, **options):
    return QuantizationError(QuantizationError.Options(**options)).score(subject).scores


def test_every_layer_and_bit_width_has_the_squared_error_of_its_weights():
    subject = subject_of()
    rows = scored(subject)
    assert [(row.layer, row.bits) for row in rows] == [(n, b) for n in LAYERS for b in BITSET]
    errors = squared_weight_errors(subject.model, BITSET)
    assert all(row.value == float(errors[row.layer, row.bits]) for row in rows)
    assert all((row.operand, row.standard_error) == ("layer", 0.0) for row in rows)
    assert Scores(tuple(rows)).by_bits


@pytest.mark.parametrize("method", ["limpq", "double-rounding", "dorefa"])
def test_fewer_bits_have_a_larger_error(method):
    found = Scores(tuple(scored(subject_of(method))))
    for layer in LAYERS:
        errors = [found.of_policy(layer, bits, bits) for bits in BITSET]
        assert 0 < errors[0] < errors[1] < errors[2]


def test_the_mean_is_over_the_weights_of_a_layer():
    subject = subject_of()
    for mean, total in zip(scored(subject, average="mean"), scored(subject), strict=True):
        weights = subject.model.layers[mean.layer].weight.numel()
        assert mean.value == pytest.approx(total.value / weights)


def test_bit_widths_are_those_that_are_asked_for():
    assert {row.bits for row in scored(subject_of(scored=(4, 2)))} == {4, 2}


def test_the_network_stays_as_it_is():
    subject = subject_of()
    state, modes, policy = state_of(subject.model)
    scored(subject)
    after = state_of(subject.model)
    assert all(torch.equal(value, after[0][name]) for name, value in state.items())
    assert (modes, policy) == after[1:]
