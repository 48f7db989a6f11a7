import pytest
import torch
from torch import nn

from bitswitch.conversion import quantized_layer
from bitswitch.nn.recompute import checkpoint_blocks, quantized_once
from bitswitch.testing.subject import CLASSES, IMAGES, PICTURES, Subject, quantized, take_step
from bitswitch.training.distillation import Distillation
from bitswitch.training.state import TrainState
from tests.recipes import CONVENTIONAL, SEPARATE, first_accepted

from .small_network import double_rounding

LAYERS = {
    "convolution": (lambda: quantized_layer(nn.Conv2d(4, 8, 3), double_rounding()), (2, 4, 9, 9)),
    "linear": (lambda: quantized_layer(nn.Linear(6, 4), double_rounding()), (3, 6)),
    "tokens": (lambda: quantized_layer(nn.Linear(6, 4), double_rounding()), (2, 3, 6)),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_gradients_are_those_of_keeping_the_copy(kind, channels_last, monkeypatch):
    make, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer, x = make(), torch.rand(shape)
    if channels_last and x.dim() == 4:
        x = x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    parameters = [x, *(p for p in layer.parameters() if p.requires_grad)]

    def grads():
        return torch.autograd.grad(layer(x).square().sum(), parameters, allow_unused=True)

    again = grads()
    monkeypatch.setattr(
        "bitswitch.nn.layers.quantized_again_in_backward",
        lambda *args: torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
    )
    kept = grads()
    assert all(a is k is None or torch.equal(a, k) for a, k in zip(again, kept, strict=True))


def held(layer, x):
    """Return what a layer gives, and the bytes that are held for its gradient.

    Hooks of autograd would not tell: of several only the innermost are called.
    """
    kinds = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds, profile_memory=True) as profiler:
        output = layer(x)
    events = profiler.profiler.kineto_results.events()
    moved = sum(event.nbytes() for event in events if event.name() == "[memory]")
    return output, moved - output.numel() * output.element_size()


@pytest.mark.parametrize("kind", LAYERS)
def test_only_the_input_is_kept(kind):
    make, shape = LAYERS[kind]
    layer, x = make(), torch.rand((512, *shape[1:]), requires_grad=True)
    weights = 4 * layer.weight.numel() + 1024
    assert held(layer, x)[1] <= weights < 4 * x.numel()
    with quantized_once():
        assert held(layer, x)[1] >= 4 * x.numel()


@pytest.mark.parametrize("kind", LAYERS)
def test_products_of_16_bits_keep_no_more_than_the_16_bits_of_the_input(kind):
    make, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer = make()
    x = torch.rand((512, *shape[1:])).bfloat16().requires_grad_()
    parameters = [x, *(p for p in layer.parameters() if p.requires_grad)]
    weights = 6 * layer.weight.numel() + 1024  # what was quantized of them, in 32 and in 16 bits

    def autocast():
        return torch.autocast("cpu", torch.bfloat16)

    with autocast():
        output, kept = held(layer, x)
    assert kept <= weights < x.numel()
    found = torch.autograd.grad(output.float().square().sum(), parameters, allow_unused=True)
    with autocast(), quantized_once():
        whole, more = held(layer, x)
    assert more >= kept + 2 * x.numel()
    expected = torch.autograd.grad(whole.float().square().sum(), parameters, allow_unused=True)
    assert torch.equal(output, whole)
    assert all(f is e is None or torch.equal(f, e) for f, e in zip(found, expected, strict=True))


def test_nothing_happens_without_gradients():
    make, shape = LAYERS["linear"]
    with torch.no_grad():
        assert make()(torch.rand(shape)).grad_fn is None


@pytest.mark.parametrize("recipe", [SEPARATE, CONVENTIONAL, {**CONVENTIONAL, "accumulate": 2}])
@pytest.mark.parametrize("name", ["double-rounding", "adabits", "bit-mixer", "float32"])
def test_batch_norms_that_are_computed_again_count_a_batch_once(name, recipe):
    """Running statistics are those of one forward pass, whatever kind of batch norm has them."""

    def trained(blocks):
        subject = Subject.of(name)
        training = first_accepted(subject.spec, (recipe, CONVENTIONAL))
        method = subject.method()
        model = quantized(method)
        if name != "float32":
            model.calibrate([PICTURES.batch().inputs])
        checkpoint_blocks(model.net, blocks)
        memory = Distillation(training, IMAGES, CLASSES)
        train_state = TrainState.of(method, model.train(), training, memory)
        for step in range(2):
            take_step(train_state, step)
        return model.state_dict()

    plain, again = trained(()), trained(("3", "4", "6", "7"))
    assert all(torch.equal(again[key], value) for key, value in plain.items())
