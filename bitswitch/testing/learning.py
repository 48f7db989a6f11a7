"""Checks that a method learns, eager and compiled."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from bitswitch.nn.model import QuantizedModel
from bitswitch.testing.failure import CheckFailed, require
from bitswitch.testing.passes import trained_widths
from bitswitch.testing.subject import (
    Subject,
    double_precision,
    quantized,
    take_step,
    train,
)
from bitswitch.training.state import TrainState
from bitswitch.training.step import PassResult
from bitswitch.types import FLOAT_BITS

STEPS = 10
"""After so many training steps the loss must be lower."""
LONG = 40
"""Within so many training steps every scale and weight must get a gradient."""
RELATIVE, ABSOLUTE = 1e-6, 1e-7
"""How far compiled and eager may be apart, in float64."""


def scales_are_marked(subject: Subject) -> None:
    """What is named as a scale is a ``Scale``, so that the optimizer for scales trains it."""
    for name, layer in quantized(subject.method()).quantized_layers.items():
        for operand, quantizer in layer.quantizers.items():
            scales = quantizer.scales()
            for inner, _ in quantizer.named_parameters():
                require(
                    inner in scales or not inner.startswith("scale"),
                    f"Parameter '{inner}' of the {operand} quantizer of layer '{name}' is trained "
                    f"as a weight: it is no Scale.",
                    "Write Scale(value) instead of nn.Parameter(value), and PerBit(bitset, "
                    "Scale(value)) for one of every bit-width; or name it otherwise.",
                )


def gradients_are_finite_and_reach_everything(subject: Subject) -> None:
    """Gradients are finite, and every scale and weight gets one that is not zero."""
    train_state = subject.train_state()
    if not train_state.method.trains:
        return
    waiting = _expected(train_state.model, trained_widths(subject))
    for step in range(LONG):
        with _gradients(train_state) as found:
            take_step(train_state, step)
        for name, gradient in found.items():
            require(
                bool(gradient.isfinite().all()),
                f"The gradient of {name} is not finite in training step {step}.",
                "Look for a division by zero or a root of zero in the backward pass.",
            )
            if bool(gradient.any()):
                waiting.discard(name)
        if not waiting:
            return
    raise CheckFailed(
        f"No gradient but zero reaches {', '.join(sorted(waiting))} in {LONG} training steps.",
        "Let gradients through in the quantizer's backward pass; what a bit-width does not use "
        "belongs in a PerBit.",
    )


def training_lowers_the_loss(subject: Subject) -> None:
    """Ten training steps lower the loss at every bit-width that they train."""
    train_state = subject.train_state()
    if not train_state.method.trains:
        return
    before = {bits: _loss(subject, train_state.model, bits) for bits in trained_widths(subject)}
    train(train_state, STEPS)
    for bits, start in before.items():
        after = _loss(subject, train_state.model, bits)
        require(
            after < start,
            f"At {bits} bit, {STEPS} training steps on one batch take the loss from {start:.4f} "
            f"to {after:.4f}.",
            "Look at the gradients at this bit-width, and whether passes() visits it.",
        )


def finishing_leaves_it_ready(subject: Subject) -> None:
    """At the end, the network is ready at every bit-width."""
    model = subject.deployed
    for bits in subject.bitset:
        require(
            bool(subject.logits(model, bits).isfinite().all()),
            f"At {bits} bit the finished network gives outputs that are not finite.",
            "Let finish() leave every bit-width ready for evaluation.",
        )


def compiled_is_eager(subject: Subject, backend: str = "aot_eager") -> None:
    """A compiled training step computes what an eager one does.

    Both run in float64: in float32 their roundings differ by enough to move a value to the next
    code now and then, which would hide real differences.
    """
    if not subject.method().trains:
        return
    torch.compiler.reset()
    with double_precision():
        eager, compiled = subject.train_state(), subject.train_state()
        compiled.model.compile(backend)
        for step in range(2):
            with _gradients(eager) as expected:
                results = _step_in_double(eager, step)
            with _gradients(compiled) as found:
                others = take_step(compiled, step)
            for one, other in zip(results, others, strict=True):
                _require_close(f"loss at {one.bits} bit", one.loss, other.loss)
            for name, gradient in expected.items():
                largest = float(gradient.abs().max())
                apart = float((found[name] - gradient).abs().max()) if name in found else largest
                _require_close(f"gradient of {name}", largest, largest + apart)
            compiled.model.load_state_dict(eager.model.state_dict())


def _step_in_double(train_state: TrainState, step: int) -> list[PassResult]:
    try:
        return take_step(train_state, step)
    except RuntimeError as error:
        raise CheckFailed(
            f"A training step of a network in float64 fails: {error}",
            "Keep the precision of what comes in: at_least_float32(x) instead of x.float(), "
            "torch.zeros_like(x) instead of torch.zeros(..., dtype=torch.float32).",
        ) from error


def _require_close(what: str, eager: float, compiled: float) -> None:
    require(
        abs(eager - compiled) <= ABSOLUTE + RELATIVE * abs(eager),
        f"Compiled, the {what} is off by {abs(eager - compiled):.2g} of {abs(eager):.2g}.",
        "Compute from the fields of width and never branch on them: they are tensors in the "
        "compiled graph. Pick what belongs to a bit-width outside it, in a PerBit.",
    )


def _loss(subject: Subject, model: QuantizedModel, bits: int) -> float:
    targets = subject.material.batch().targets
    return subject.material.task.loss(subject.logits(model, bits), targets).item()


def _expected(model: QuantizedModel, widths: list[int]) -> set[str]:
    """Return the names of parameters that training must reach."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    wanted = [layer.weight for layer in model.quantized_layers.values()]
    for bits in widths:
        if bits != FLOAT_BITS:
            with model.at(bits):
                wanted += model.active_scales().values()
    return {names[id(parameter)] for parameter in wanted}


@contextmanager
def _gradients(train_state: TrainState) -> Iterator[dict[str, Tensor]]:
    """Collect the gradient of every parameter by name, as it is when last added to."""
    found: dict[str, Tensor] = {}

    def watch(name: str, parameter: Tensor) -> None:
        assert parameter.grad is not None
        found[name] = parameter.grad.detach().clone()

    handles = [
        parameter.register_post_accumulate_grad_hook(partial(watch, name))  # type: ignore[no-untyped-call]
        for name, parameter in train_state.model.named_parameters()
        if parameter.requires_grad
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
