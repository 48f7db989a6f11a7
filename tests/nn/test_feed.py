"""What the library says where scales are missing, and to images and bit-widths that fit nothing."""

import copy
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.errors import BitWidthError, CalibrationError
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.nn.dataflow import NO_ENDS
from bitswitch.nn.feed import first_examples
from bitswitch.nn.model import UNCALIBRATED
from bitswitch.nn.policy import widest_first
from bitswitch.plugins import registry
from bitswitch.quant.quantizer import Quantizer

from .small_network import double_rounding, float_net

X = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    return quantize(float_net(), double_rounding()).eval()


def warned(model, run):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run(model)
    return [str(one.message) for one in found]


def passes(model):
    with torch.no_grad():
        for bits in (32, 8, 4, 8):
            with model.at(bits):
                model(X)


def test_forgotten_calibration_is_said_once(model):
    assert warned(model, passes) == [UNCALIBRATED]
    assert warned(model, passes) == []


def test_a_graph_of_ones_own_is_not_broken_by_the_warning(model):
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(X), model(X))


def test_full_precision_needs_no_calibration(model):
    with model.at(32):
        assert warned(model, lambda model: model(X)) == []


@pytest.mark.parametrize("make", ["calibrated", "loaded", "copied"])
def test_scales_that_are_there_are_not_missed(model, make):
    other = quantize(float_net(), double_rounding()).eval()
    other.calibrate([X])
    if make == "loaded":
        model.load_state_dict(other.state_dict())
    else:
        model = copy.deepcopy(other) if make == "copied" else other
    assert warned(model, passes) == []


def test_a_state_without_activation_scales_is_no_calibration(model):
    state = {k: v for k, v in model.state_dict().items() if "activation" not in k}
    model.load_state_dict(state, strict=False)
    assert warned(model, passes) == [UNCALIBRATED]


def test_a_method_without_activation_scales_needs_no_calibration():
    class Halves(Quantizer):
        def forward(self, x, width):
            return (2 * x).round() / 2

    class Plain(DoubleRounding):
        def activation_quantizer(self):
            return Halves()

    model = quantize(float_net(), Plain(DoubleRounding.Options(), (8, 4))).eval()
    assert warned(model, passes) == []


def test_calibrating_again_is_said_and_gives_the_same(model):
    model.calibrate([X])
    before = copy.deepcopy(model.state_dict())
    assert len(warned(model, lambda model: model.calibrate([X]))) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "no batch"),
        (iter(()), "used up"),
        ([X * float("nan")], "'3' saw values that are not finite"),
        ([X, X * float("inf")], "not finite"),
        ([X[:, :2]], r"does not take batch 1, of shape [4, 2, 12, 12]"),
        (X, "one tensor [4, 3, 12, 12]"),
        ([(X, torch.zeros(4))], "Batch 1 is tuple"),
        ([X, X[:0]], "Batch 2 is [0, 3, 12, 12]"),
    ],
)
def test_images_that_tell_nothing_are_refused_and_change_nothing(model, images, words):
    model.train()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CalibrationError, match=re.escape(words)):
        model.calibrate(images)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_layer_that_does_not_run_is_named():
    class Choosy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))

        def forward(self, x):
            return self.layers[0](x) if x.shape[0] > 3 else self.layers[1](self.layers[0](x))

    model = quantize(Choosy(), double_rounding(), ends=NO_ENDS)
    with pytest.raises(CalibrationError, match=r"'layers.1' did not run \(1 of 2 did not\)"):
        model.calibrate([torch.ones(4, 3)])


@pytest.mark.parametrize("bits", [4.0, True, "4", None, [8, 4], np.float64(4)])
def test_only_integers_are_bit_widths(model, bits):
    for policy in (bits, dict.fromkeys(model.layers, bits)):
        with pytest.raises(BitWidthError, match=r"is no bit-width; it must be an integer"):
            model.switch(policy)


def test_integers_of_other_libraries_are_bit_widths(model):
    model.calibrate([X])
    with torch.no_grad():
        with model.at(4):
            expected = model(X)
        for bits in (np.int64(4), torch.tensor(4)):
            for policy in (bits, dict.fromkeys(model.layers, (bits, bits))):
                with model.at(policy):
                    assert torch.equal(model(X), expected)


@pytest.mark.parametrize(
    ("bitset", "words"),
    [
        ((2, 4, 8), "write (8, 4, 2)"),
        ((8, 8, 4), "write (8, 4)"),
        ((), "write (8, 4, 2)"),
        ((8.0, 4), "integers"),
        ((True,), "integers"),
        (4, "integers"),
        ((32, 8), "full precision is (32,) alone"),
        ((8, 1), "2 to 8"),
    ],
)
def test_bit_sets_are_distinct_and_widest_first(bitset, words):
    with pytest.raises(BitWidthError, match=re.escape(words)):
        registry.create("methods", "lsq", {}, bitset)


def test_a_bit_set_may_be_any_list_of_integers():
    found = registry.create("methods", "lsq", {}, [np.int64(8), 4]).bitset
    assert found == (8, 4)
    assert all(type(bits) is int for bits in found)
    assert widest_first([32]) == (32,)


def test_examples_are_taken_until_there_are_enough():
    asked = []

    def batches():
        for number in range(4):
            asked.append(number)
            yield torch.full((16, 2), float(number))

    found = first_examples(batches(), 20)
    assert [len(part) for part in found] == [16, 4]
    assert [part.unique().tolist() for part in found] == [[0.0], [1.0]]
    assert asked == [0, 1]
    assert sum(map(len, first_examples(batches(), 1000))) == 64
