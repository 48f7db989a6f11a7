"""Checks that bit-widths do not disturb each other, and that a network can be kept and copied."""

import copy

import torch
from torch import Tensor

from bitswitch.nn.model import QuantizedModel
from bitswitch.testing.failure import CheckFailed, require
from bitswitch.testing.subject import Subject, quantized, train
from bitswitch.types import FLOAT_BITS


def switching_away_and_back_changes_nothing(subject: Subject) -> None:
    """A bit-width gives the same after others were used."""
    model = subject.deployed
    widths = sorted({*subject.bitset, FLOAT_BITS}, reverse=True)
    before = {bits: subject.logits(model, bits) for bits in widths}
    for bits in widths:
        require(
            torch.equal(subject.logits(model, bits), before[bits]),
            f"At {bits} bit the network gives another output after other bit-widths were used.",
            "Keep what belongs to one bit-width in a PerBit or a Switchable, and change no state "
            "in forward.",
        )


def state_round_trips(subject: Subject) -> None:
    """A saved and loaded network is the same network."""
    model = subject.deployed
    other = quantized(subject.method()).eval()
    try:
        other.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise CheckFailed(
            f"A network with the state of another cannot be made: {error}",
            "Create every parameter and buffer in the constructor, on_quantized() or "
            "transform_float(), in its final shape.",
        ) from error
    _compare(
        subject,
        model,
        other,
        "a network that loaded the state gives another output than the one that saved it.",
        "Whatever forward or encode reads must be a parameter or a persistent buffer; what "
        "initialize() or finish() finds out, too.",
    )


def copies_are_independent(subject: Subject) -> None:
    """A copied network is the same network, and training it leaves the original as it was."""
    copy.deepcopy(subject.method())
    train_state = subject.train_state()
    model = train_state.model
    twin = copy.deepcopy(model)
    problem = "a copy of the network gives another output."
    remedy = "Hold no reference to tensors or modules outside the module that uses them."
    _compare(subject, model.eval(), twin.eval(), problem, remedy)
    before = {bits: subject.logits(twin, bits) for bits in subject.bitset}
    if train_state.method.trains:
        model.train()
        train(train_state, 1)
    for bits in subject.bitset:
        require(
            torch.equal(subject.logits(twin, bits), before[bits]),
            f"At {bits} bit, training a network changes the output of its copy.",
            remedy,
        )


def _compare(
    subject: Subject, model: QuantizedModel, other: QuantizedModel, problem: str, remedy: str
) -> None:
    """Raise unless both give the same at every bit-width."""
    for bits in subject.bitset:
        first: Tensor = subject.logits(model, bits)
        require(
            torch.equal(first, subject.logits(other, bits)), f"At {bits} bit, {problem}", remedy
        )
