import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softmax

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import PassContext, StepInfo
from bitswitch.methods.coquant.coquant import CoQuant
from bitswitch.nn.blocks import block
from bitswitch.quant.clipped import LearnedClipQuantizer
from bitswitch.quant.tanh import TanhQuantizer
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec

BITSET = (8, 6, 4, 2)
LAYERS = ["stages.0.0.conv1", "stages.0.0.conv2", "stages.1.0.conv1", "stages.1.0.shortcut"]
TRAINING = TrainingSpec(epochs=1, batch_size=1, learning_rate=5e-4)


def method(**options):
    return CoQuant(CoQuant.Options(**options), BITSET)


def step_info(step=0, seed=0):
    return StepInfo(0, 1, step, 100, torch.Generator().manual_seed(seed))


class Model:
    """Stands for a quantized model: something a method attaches its memory to."""

    memory = nn.Module()


@pytest.mark.parametrize(("teacher", "positions"), [("above", [0, 1, 2]), ("widest", [0, 0, 0])])
def test_fixed_teachers(teacher, positions):
    passes = method(teacher=teacher).passes(TRAINING, step_info(), LAYERS)
    assert [one.bits for one in passes] == list(BITSET)
    assert passes[0].teacher is None
    assert [one.teacher for one in passes[1:]] == positions


def test_the_teacher_is_the_nearest_wider_bit_width():
    chosen = method(swap=0)
    chosen.on_quantized(Model(), 10)
    for distances in ([3.0], [1.0, 2.0], [5.0, 4.0, 6.0]):
        chosen._distances.learn(distances)
    passes = chosen.passes(TRAINING, step_info(), LAYERS)
    assert [one.teacher for one in passes[1:]] == [0, 0, 1]


def test_before_anything_is_known_the_one_above_teaches():
    chosen = method()
    chosen.on_quantized(Model(), 10)
    assert [one.teacher for one in chosen.passes(TRAINING, step_info(), LAYERS)[1:]] == [0, 1, 2]


def test_swapped_blocks_run_at_the_teachers_bit_width():
    passes = method(swap=0.5, swap_schedule="constant").passes(TRAINING, step_info(seed=3), LAYERS)
    mixed = [one for one in passes if one.policy is not None]
    assert mixed
    for one in mixed:
        teacher = BITSET[one.teacher]
        by_block = {}
        for layer, bits in one.policy.items():
            by_block.setdefault(block(layer), set()).add(bits)
        assert all(bits in ({teacher}, {one.bits}) for bits in by_block.values())
        assert {teacher} in by_block.values()


def test_swapping_dies_out():
    def swapped(step):
        chosen, share = method(swap=1.0), 0
        for seed in range(50):
            passes = chosen.passes(TRAINING, step_info(step, seed), LAYERS)[1:]
            share += sum(
                b == BITSET[one.teacher]
                for one in passes
                if one.policy
                for b in one.policy.values()
            )
        return share / (50 * 3 * len(LAYERS))

    assert swapped(0) == 1
    assert swapped(50) == pytest.approx(0.5, abs=0.1)
    assert swapped(99) < 0.05


def test_the_same_moment_gives_the_same_passes():
    assert method().passes(TRAINING, step_info(), LAYERS) == method().passes(
        TRAINING, step_info(), LAYERS
    )


def test_loss_is_shared_by_labels_and_teacher_and_notes_distances():
    chosen, model = method(share=0.25, swap=0), Model()
    chosen.on_quantized(model, 3)
    part = chosen.passes(TRAINING, step_info(), LAYERS)[1]
    logits, teacher = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 0, 1])
    batch = Batch(torch.zeros(5, 3, 1, 1), targets, torch.arange(5))
    context = PassContext(part, logits, targets, batch, [teacher], model, step_info())
    loss = chosen.loss(context)
    soft = -(softmax(teacher, 1) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, 0.25 * soft + 0.75 * cross_entropy(logits, targets))
    assert model.memory.table[1, 0] > 0
    (wish,) = context.requests
    wish.receive(wish.values.tolist())
    assert model.memory._known[1][0] == float(model.memory.table[1, 0])
    assert "table" in model.memory.state_dict()


def test_quantizers_are_those_of_sat():
    weights, activations = (
        method().weight_quantizer(torch.randn(4, 3)),
        method().activation_quantizer(),
    )
    assert isinstance(weights, TanhQuantizer)
    assert (weights.scheme, weights.rescale) == ("original", "constant")
    assert isinstance(activations, LearnedClipQuantizer)
    assert {clip.item() for clip in activations.scales().values()} == {8.0}


@pytest.mark.parametrize("distillation", ["none", "neighbour"])
def test_distillation_of_the_recipe_is_refused(distillation):
    spec = RunSpec(
        method="coquant",
        model="resnet8",
        dataset="digits",
        bitset=BITSET,
        training={
            "epochs": 1,
            "batch_size": 1,
            "learning_rate": 5e-4,
            "distillation": distillation,
        },
        seed=0,
    )
    assert bool(method().skip(spec)) == (distillation != "none")
