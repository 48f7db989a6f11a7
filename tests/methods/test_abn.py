from collections import Counter

import pytest
import torch

from bitswitch.contracts.method import StepInfo
from bitswitch.methods.abn import Abn
from bitswitch.quant.floor import FloorQuantizer
from bitswitch.quant.quantizer import Width
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec

BITSET = (4, 3, 2)
LAYERS = [f"layer{number}" for number in range(30)]


def method(bitset=BITSET, **options):
    return Abn(Abn.Options(**options), bitset)


def recipe(**changes):
    settings = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-4}
    return TrainingSpec(**settings | changes)


def passes(step=0, training=None, bitset=BITSET, **options):
    step_info = StepInfo(0, 4, step, 100, torch.Generator().manual_seed(step))
    return method(bitset, **options).passes(training or recipe(), step_info, LAYERS)


def test_the_widest_teaches_mixed_networks_and_the_narrowest():
    widest, *mixed, narrowest = passes(random_passes=2, distillation_weight=0.3)
    assert (widest.bits, widest.policy, widest.teacher) == (4, None, None)
    assert (narrowest.bits, narrowest.policy) == (2, None)
    assert [part.bits for part in mixed] == [None, None]
    assert {(part.teacher, part.distill_weight) for part in (*mixed, narrowest)} == {(0, 0.3)}
    assert mixed[0].policy != mixed[1].policy
    assert all(list(part.policy) == LAYERS for part in mixed)


def test_mixed_networks_use_every_bit_width_evenly():
    seen = Counter(bits for step in range(50) for bits in passes(step)[1].policy.values())
    assert seen.keys() == {(4, 4), (3, 3), (2, 2)}
    assert all(abs(count - 500) < 100 for count in seen.values())


def test_the_generator_decides_every_draw():
    assert passes(7) == passes(7)
    assert passes(7) != passes(8)


def test_a_single_bit_width_is_trained_once():
    (only,) = passes(bitset=(4,))
    assert (only.bits, only.teacher) == (4, None)


@pytest.mark.parametrize("update", ["conventional", "separate"])
def test_every_pass_updates_if_the_recipe_says_so(update):
    parts = passes(training=recipe(update=update))
    assert {part.update for part in parts} == {update == "separate"}


def test_narrow_weights_are_shifted_wide_ones():
    weight = torch.randn(4, 3, 3, 3)
    quantizer = method(weight_granularity="per-channel").weight_quantizer(weight)
    assert isinstance(quantizer, FloorQuantizer)
    assert quantizer.scale.shape == (4, 1, 1, 1)
    wide, narrow = (quantizer.encode(weight, Width.of(bits, BITSET)).values for bits in (4, 2))
    assert torch.equal(narrow, wide >> 2)


def test_what_it_cannot_train_is_refused():
    run = {"method": "abn", "model": "resnet8", "dataset": "digits", "seed": 0}

    def refusal(bitset, training, **options):
        return method(bitset, **options).skip(RunSpec(**run, bitset=bitset, training=training))

    assert refusal(BITSET, recipe()) is None
    assert "distillation" in refusal(BITSET, recipe(distillation="neighbour"))
    assert "random passes" in refusal(BITSET, recipe(), random_passes=0)
    assert refusal((4, 2), recipe(), random_passes=0) is None
