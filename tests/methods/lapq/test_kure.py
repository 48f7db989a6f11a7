import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bitswitch.contracts.method import Pass, PassContext
from bitswitch.methods.lapq.clip_value import FittedClips, LearnedClip
from bitswitch.methods.lapq.kure import Kure
from bitswitch.quant.quantizer import Width
from bitswitch.quant.regularizers import kurtosis_penalty, standardized_moment
from bitswitch.testing.subject import Subject, batch, quantized, run_spec, step_info, train
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 2)


def method(**options):
    return Kure(Kure.Options(**options), BITSET)


def convolutions(model):
    return [m.weight for m in model.net.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize(("host", "bits"), [("post-training", FLOAT_BITS), ("lsq", 4)])
def test_a_step_has_one_pass(host, bits):
    training = run_spec("kure", {}, BITSET).training
    (part,) = method(host=host).passes(training, step_info(), ["a"])
    assert (part.bits, part.teacher, part.update) == (bits, None, False)


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_the_penalty_is_a_mean_over_convolutions_but_the_first(strength):
    model = quantized(method())
    model.switch(FLOAT_BITS)
    logits = model(batch().inputs)
    context = PassContext(
        Pass(FLOAT_BITS), logits, batch().targets, batch(), (), model, step_info()
    )
    weights = convolutions(model)[1:]
    assert len(weights) == 2
    penalty = sum(kurtosis_penalty([weight]) for weight in weights) / 2
    expected = cross_entropy(logits, batch().targets) + strength * penalty
    torch.testing.assert_close(method(strength=strength).loss(context), expected)


def test_training_makes_weights_more_uniform():
    distances = {}
    for strength in (0.0, 5.0):
        train_state = Subject.of("kure", {"strength": strength}).train_state()
        train(train_state, 30)
        kurtoses = [standardized_moment(w, 4).item() for w in convolutions(train_state.model)[1:]]
        distances[strength] = sum(abs(kurtosis - 1.8) for kurtosis in kurtoses)
    assert distances[5.0] < 0.5 * distances[0.0]


def test_clip_values_are_found_after_training():
    subject = Subject.of("kure", {"iterations": 1, "evaluations": 10})
    train_state = subject.train_state()
    train(train_state, 1)
    quantizers = [q for x in train_state.model.layers.values() for q in x.quantizers.values()]
    assert all(isinstance(q, FittedClips) and q.clips.unique().numel() == 1 for q in quantizers)
    model = subject.deployed
    quantizers = [q for layer in model.layers.values() for q in layer.quantizers.values()]
    assert any(q.clips.unique().numel() > 1 for q in quantizers)


def test_host_lsq_trains_one_clip_that_serves_every_bit_width():
    train_state = Subject.of("kure", {"host": "lsq"}).train_state()
    layer = next(iter(train_state.model.layers.values()))
    quantizers = list(layer.quantizers.values())
    before = [quantizer.scale.item() for quantizer in quantizers]
    train(train_state, 2)
    for quantizer, value in zip(quantizers, before, strict=True):
        assert isinstance(quantizer, LearnedClip)
        assert quantizer.scale.item() != value
        assert len({quantizer.clip(Width.of(bits, BITSET)).item() for bits in BITSET}) == 1
    after = [quantizer.scale.item() for quantizer in quantizers]
    train_state.method.finish(train_state.model, lambda: iter([batch()]))
    assert [quantizer.scale.item() for quantizer in quantizers] == after


def test_refusals():
    def refusal(options, **training):
        return method(**options).skip(run_spec("kure", options, BITSET, **training))

    assert refusal({}) is None
    assert refusal({"host": "lsq"}) is None
    assert "6 bit" in refusal({"host": "lsq", "trained_bits": 6})
    assert refusal({}, distillation="neighbour")
