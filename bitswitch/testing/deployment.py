"""Checks that what is trained is what is deployed."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.errors import EncodingError
from bitswitch.nn.calibration import observe_inputs
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.quantizer import Quantizer, Width
from bitswitch.testing.failure import CheckFailed, require
from bitswitch.testing.subject import Subject
from bitswitch.types import FLOAT_BITS


class Operand(NamedTuple):
    """A weight or an input, and what quantizes it at the bit-width in use."""

    place: str
    """For messages."""
    quantizer: Quantizer
    width: Width
    values: Tensor
    """Before quantization."""


def operands(subject: Subject, model: QuantizedModel, bits: int) -> Iterator[Operand]:
    """Switch ``model``, of ``subject``, to ``bits`` and return all that it quantizes there."""
    model.switch(bits)
    layers = model.quantized_layers
    with torch.no_grad(), observe_inputs(layers) as observed:
        model(subject.material.batch().inputs)
    for name, layer in layers.items():
        for operand, quantizer, switch, values in (
            ("weight", layer.weight_quantizer, layer.weight_switch, layer.weight.detach()),
            ("input", layer.activation_quantizer, layer.activation_switch, observed[name].values()),
        ):
            if switch.width is not None:
                place = f"{operand} of layer '{name}' at {bits} bit"
                yield Operand(place, quantizer, switch.width, values)


def encoded(subject: Subject, model: QuantizedModel, bits: int) -> Iterator[Operand]:
    """Return the ``operands`` that have codes: where weights are in tables, inputs alone."""
    only_inputs = subject.method().storage == "tables"
    for operand in operands(subject, model, bits):
        if not only_inputs or operand.place.startswith("input"):
            yield operand


def trained_value_is_the_deployed_one(subject: Subject) -> None:
    """The value that trains is the value that is deployed, bit for bit."""
    subject = subject.wide
    model = subject.deployed
    for bits in subject.bitset:
        for place, quantizer, width, values in encoded(subject, model, bits):
            trained = quantizer(values, width).detach()
            deployed = quantizer.encode(values, width).decode()
            require(
                trained.shape == values.shape == deployed.shape,
                f"{place}: forward gives shape {list(trained.shape)} and encode().decode() "
                f"{list(deployed.shape)}, of values of shape {list(values.shape)}.",
                "Both return one value for each value that they get.",
            )
            apart = int((trained != deployed).sum())
            require(
                apart == 0,
                f"{place}: forward and encode().decode() differ in {apart} of "
                f"{trained.numel()} values, by up to {(trained - deployed).abs().max():.2g}.",
                "Compute the codes and their scale by the same operations in the same order in "
                "both; call one function from both.",
            )


def codes_are_integers_of_the_width(subject: Subject) -> None:
    """Codes are integers, at most 2 to the power of bits of them."""
    subject = subject.wide
    model = subject.deployed
    for bits in subject.bitset:
        for place, quantizer, width, values in encoded(subject, model, bits):
            codes = quantizer.encode(values, width).values
            require(
                not codes.is_floating_point() and not codes.is_complex(),
                f"{place}: encode gives codes of type {codes.dtype}.",
                "Return bitswitch.quant.grid.integers(codes), which is int32.",
            )
            limit, used = 2 ** int(width.bits), len(set(codes.flatten().tolist()))
            require(
                used <= limit,
                f"{place}: {used} different codes, which do not fit in {limit}.",
                "Clip codes to the range of the width before they are rounded.",
            )


def quantizing_twice_gives_the_same(subject: Subject) -> None:
    """Quantizing the same values again gives the same."""
    model = subject.deployed
    for bits in subject.bitset:
        for place, quantizer, width, values in operands(subject, model, bits):
            require(
                torch.equal(quantizer(values, width), quantizer(values, width)),
                f"{place}: two calls of forward on the same values differ.",
                "forward must be deterministic and change no state: a layer calls it again in "
                "backward rather than keep its result.",
            )


def tables_have_no_codes(subject: Subject) -> None:
    """Weights whose values are in tables refuse to give integers, if the card says tables."""
    if subject.method().storage != "tables":
        return
    width = Width.of(subject.bitset[0], subject.bitset)
    for name, layer in subject.deployed.layers.items():
        try:
            layer.weight_quantizer.encode(layer.weight, width)
        except EncodingError:
            continue
        raise CheckFailed(
            f"The card says storage 'tables', but the weights of layer '{name}' have codes.",
            "Raise EncodingError from encode(), or say storage 'codes' or 'floats'.",
        )


def narrow_codes_come_from_the_widest(subject: Subject) -> None:
    """Narrow weights can be rebuilt from the widest codes, if the card says so."""
    method = subject.method()
    if method.storage != "codes" or subject.bitset == (FLOAT_BITS,):
        return
    subject = subject.wide
    model, widest = subject.deployed, subject.bitset[0]
    for layer in model.layers.values():
        model.switch(widest)
        stored = layer.weight_quantizer.encode(layer.weight, Width.of(widest, subject.bitset))
        for bits in subject.bitset:
            model.switch(bits)
            width = Width.of(bits, subject.bitset)
            encoded = layer.weight_quantizer.encode(layer.weight, width)
            try:
                narrow = layer.weight_quantizer.narrow(stored, width)
            except NotImplementedError:
                raise CheckFailed(
                    "The card says storage 'codes', but the weight quantizer has no narrow().",
                    "Implement Quantizer.narrow, or say storage 'floats'.",
                ) from None
            apart = int((narrow.values != encoded.values).sum())
            require(
                apart == 0 and torch.equal(narrow.decode(), encoded.decode()),
                f"At {bits} bit, {apart} of {encoded.values.numel()} codes rebuilt by narrow() "
                f"from the widest ones are not those of encode(), or their scale is another.",
                "Derive narrow codes from the widest ones in both, or say storage 'floats'.",
            )
