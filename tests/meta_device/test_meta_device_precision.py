"""Products of 16 bits on the meta device: what else is there has 32, and stays on the device."""

import pytest
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bitswitch.plugins import registry
from bitswitch.testing.subject import TEXTS, step_info
from bitswitch.training.step import train_step
from bitswitch.training.unread import Unread
from tests.contract.test_methods_on_text import REFUSED
from tests.recipes import RECIPES, in_turn

from .learners import learner_of, on_meta

METHODS = [name for name in registry.names("methods") if registry.load("methods", name).trains]
ON_TEXT = [
    name if name in ("float32", "double-rounding") else pytest.param(name, marks=pytest.mark.long)
    for name in METHODS
    if name not in REFUSED
]
SHORT, WHOLE = torch.bfloat16, torch.float32


class Autocast(TorchFunctionMode):
    """Does what ``torch.autocast`` does on a GPU, as far as networks here call it.

    The meta device has none of its own. What is in neither list takes what it is given.
    """

    shorter = (
        torch.conv2d,
        functional.linear,
        functional.scaled_dot_product_attention,
        torch.matmul,
        torch.bmm,
        torch.Tensor.matmul,
        torch.Tensor.__matmul__,
    )
    wider = (
        functional.softmax,
        functional.log_softmax,
        functional.layer_norm,
        functional.cross_entropy,
        torch.softmax,
        torch.Tensor.softmax,
    )

    def __init__(self, *told):
        super().__init__()
        self.products = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in self.shorter:
            self.products += 1
            args = [_cast(one, WHOLE, SHORT) for one in args]
        elif func in self.wider:
            args = [_cast(one, SHORT, WHOLE) for one in args]
        return func(*args, **(kwargs or {}))


def _cast(value, before, after):
    return value.to(after) if isinstance(value, torch.Tensor) and value.dtype is before else value


@pytest.fixture
def products(monkeypatch):
    """Let the meta device multiply in 16 bits; return a function that says how often it did."""
    made = []

    def autocast(device, dtype):
        assert (device, dtype) == ("meta", SHORT)
        made.append(Autocast())
        return made[-1]

    monkeypatch.setattr(torch, "autocast", autocast)
    return lambda: sum(one.products for one in made)


def floats(tree):
    return {
        one.dtype
        for one in torch.utils._pytree.tree_leaves(tree)
        if isinstance(one, torch.Tensor) and one.is_floating_point()
    }


def watch(train_state, monkeypatch):
    """Check all that quantizers, losses and updates see; return how often each was looked at."""
    seen = dict.fromkeys(("quantized", "losses", "updates", "sent"), 0)

    def check(kind, *values):
        seen[kind] += 1
        assert floats(values) <= {WHOLE, torch.float64}

    for layer in train_state.model.quantized_layers.values():
        for quantizer in layer.quantizers.values():
            quantizer.register_forward_hook(
                lambda module, args, output: check("quantized", args, output)
            )
    loss, step, add = train_state.method.loss, train_state.step, Unread.add

    def watched_loss(context):
        found = loss(context)
        check("losses", context.logits, context.targets, list(context.previous_logits[:0]), found)
        return found

    def watched_step(rates):
        check("updates", [one.grad for one in train_state.model.parameters()])
        step(rates)

    def watched_add(unread, values, receive):
        check("sent", values)
        add(unread, values, receive)

    monkeypatch.setattr(train_state.method, "loss", watched_loss)
    monkeypatch.setattr(train_state, "step", watched_step)
    monkeypatch.setattr(Unread, "add", watched_add)
    return seen


def check_step(train_state, batch, name, host, products, monkeypatch):
    seen = watch(train_state, monkeypatch)
    host.since()
    results = train_step(train_state, batch, 1e-3, step_info())
    remembered = 0 if train_state.distillation.memory is None else 2
    assert host.since() <= len(results) + bool(train_state.scales) + remembered
    assert products() > 0
    assert seen["losses"] == len(results)
    assert min(seen["updates"], seen["sent"]) > 0
    # Networks that are quantized after their training pass at full precision until then.
    assert (seen["quantized"] > 0) == any(one.bits != 32 for one in results)
    state = train_state.optimizers.state_dict()
    assert floats((train_state.model.state_dict(), state)) <= {WHOLE, torch.float64}


@pytest.mark.parametrize(("turn", "name"), enumerate(METHODS))
def test_meta_device_keeps_all_but_products_in_32_bits(turn, name, host, products, monkeypatch):
    recipes = [{**one, "precision": "bfloat16"} for one in in_turn(turn)]
    check_step(learner_of(name, recipes), on_meta(), name, host, products, monkeypatch)


@pytest.mark.parametrize("name", ON_TEXT)
def test_meta_device_keeps_all_but_products_of_a_decoder_in_32_bits(
    name, host, products, monkeypatch
):
    recipes = [{**one, "precision": "bfloat16"} for one in RECIPES]
    train_state = learner_of(name, recipes, TEXTS)
    check_step(train_state, on_meta(0, TEXTS), name, host, products, monkeypatch)
