"""Turn a float network into one that runs at several bit-widths."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.method import Method
from bitswitch.errors import BitWidthError, SpecError, hint
from bitswitch.nn.dataflow import Example, FirstLast, Flow, trace
from bitswitch.nn.kinds import weighted_layers
from bitswitch.nn.layers import QuantizedConv2d, QuantizedLayer, QuantizedLinear
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.roles import Role, Roles, named, roles
from bitswitch.plugins import registry
from bitswitch.quant.granularity import NO_TOKENS, PerToken
from bitswitch.quant.unquantized import Unquantized
from bitswitch.types import FLOAT_BITS

_MARK = "_role"
"""Attribute of a float layer; copies that a method makes of the layer have it too."""
_FLOAT_INPUT = "_float_input"
"""The same, of a layer whose input is never quantized."""


@overload
def quantize(
    net: nn.Module,
    method: Method,
    /,
    *,
    keep: Collection[str] = (),
    float_inputs: Collection[str] = (),
    ends: FirstLast | None = None,
    example: Example | None = None,
    order: Sequence[str] | None = None,
) -> QuantizedModel: ...
@overload
def quantize(
    net: nn.Module,
    method: str,
    /,
    *,
    bitset: Sequence[int],
    keep: Collection[str] = (),
    float_inputs: Collection[str] = (),
    ends: FirstLast | None = None,
    example: Example | None = None,
    order: Sequence[str] | None = None,
    **options: Any,
) -> QuantizedModel: ...
def quantize(
    net: nn.Module,
    method: Method | str,
    /,
    *,
    bitset: Sequence[int] | None = None,
    keep: Collection[str] = (),
    float_inputs: Collection[str] = (),
    ends: FirstLast | None = None,
    example: Example | None = None,
    order: Sequence[str] | None = None,
    **options: Any,
) -> QuantizedModel:
    """Return ``net`` with convolutions and linear layers that run at every bit-width of ``method``.

    The network is changed in place and owned by the result. Weight scales are initialised from
    the weights, every batch norm is copied to each bit-width; ``QuantizedModel.calibrate`` sets
    the activation scales.

    Args:
        net: Float network, already loaded.
        method: Where quantizers and normalisation come from: the name of an installed method, or
            an instance; one whose bit set is (32,) leaves the network as it is.
        bitset: Bit-widths of a method given by name, widest first; an instance has its own.
        keep: Names of layers that stay at full precision besides the first and the last, or
            patterns such as ``blocks.*.attn.qkv``.
        float_inputs: Names or patterns of layers whose weights are quantized, but whose inputs are
            not; ``["*"]`` quantizes weights alone.
        ends: First and last layers, which stay at full precision or at the method's
            ``first_last_bits``; None: those are found by running a copy of the network.
        example: Two inputs or more [n, ...] for that run, or the shape of one, say (3, 32, 32);
            None: some shapes are tried.
        order: Names of all layers that are quantized, and of batch norms; a batch norm follows the
            last two switchable layers before it, one that is not named those registered before it.
            None: it follows those that its input comes from, found by that run.
        options: Of a method given by name, as in a suite; the others keep their defaults.

    Raises:
        UnknownPluginError: no installed package provides a method of this name.
        SpecError: an option that the method does not have, a value out of range, or scales that
            a layer cannot have.
        BitWidthError: a bit set that is none, a name that no layer has, a layer that cannot be
            quantized, or nothing that can be quantized.
    """
    method = _instance(method, bitset, options)
    count = sum(value.numel() for value in net.parameters())
    if method.bitset == (FLOAT_BITS,):
        return QuantizedModel(net, method.bitset, count)
    chosen = roles(net, keep, ends, example, method.first_last_bits is not None)
    _check_order(order or (), net, chosen)
    for name in named(float_inputs, weighted_layers(net), "float_inputs"):
        setattr(net.get_submodule(name), _FLOAT_INPUT, True)
    net = _prepared(net, method, chosen)
    flow = _flow(net, method, chosen, example) if order is None else None
    net = _replaced(net, method)
    return QuantizedModel(net, method.bitset, count, chosen.ends, flow, order)


def _instance(
    method: Method | str, bitset: Sequence[int] | None, options: dict[str, Any]
) -> Method:
    """Return the method that ``quantize`` is given.

    Raises:
        SpecError: a name without a bit set, or an instance with one or with options.
    """
    if isinstance(method, str):
        if bitset is None:
            raise SpecError(
                f"Method '{method}' is given by name and needs a bit set.\n"
                f"  Name the bit-widths: quantize(net, '{method}', bitset=(8, 6, 4, 2))"
            )
        return registry.create("methods", method, options, tuple(bitset))
    given = [*(["bitset"] if bitset is not None else []), *options]
    if given:
        name = type(method).__name__
        raise SpecError(
            f"This {name} is an instance and has bit set and options already: {given[0]} cannot "
            f"be given.\n  Give it to the instance: {name}({name}.Options(...), (8, 6, 4, 2))"
        )
    return method


def _check_order(order: Sequence[str], net: nn.Module, chosen: Roles) -> None:
    """Raise unless ``order``, where there is one, names parts of ``net`` and all it must.

    Raises:
        BitWidthError: a name that no layer has, or a layer to quantize that is left out.
    """
    modules = dict(net.named_modules())
    for name in order:
        if name not in modules:
            raise BitWidthError(
                f"'order' names '{name}': the network has no such layer or batch norm."
                f"{hint(name, modules)}"
            )
    quantized = [name for name, role in chosen.layers.items() if role == "inner"]
    missing = [name for name in quantized if name not in order]
    if order and missing:
        raise BitWidthError(
            f"'order' leaves out layer '{missing[0]}' ({len(missing)} of {len(quantized)} missing),"
            f" so that batch norms cannot tell whether they follow it.\n"
            f"  Name all layers that are quantized, or give no order: it is then traced."
        )


def _prepared(net: nn.Module, method: Method, chosen: Roles) -> nn.Module:
    """Return ``net`` as ``method`` prepares it, its layers marked by what becomes of them."""
    for name, chosen_role in chosen.layers.items():
        setattr(net.get_submodule(name), _MARK, chosen_role)
    net = method.transform_float(net)
    without_fast_path(net)
    return net


def _replaced(net: nn.Module, method: Method) -> nn.Module:
    """Return ``net`` with marked layers and batch norms replaced."""
    replacements: dict[nn.Module, nn.Module] = {}
    for name, module in net.named_modules():
        role: Role | None = module.__dict__.get(_MARK)
        with _naming(name):
            if role == "inner":
                replacements[module] = _with_usable_scales(quantized_layer(module, method))
            elif role in ("first", "last") and method.first_last_bits is not None:
                replacements[module] = _with_usable_scales(_pinned(module, role == "first", method))
            elif isinstance(module, _BatchNorm):
                replacements[module] = _normalization(module, method)
        for mark in (_MARK, _FLOAT_INPUT):
            module.__dict__.pop(mark, None)
    for name, module in list(net.named_modules(remove_duplicate=False)):
        if module in replacements:
            net.set_submodule(name, replacements[module])
    return net


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say which layer it is that the options of a method do not fit."""
    try:
        yield
    except SpecError as error:
        raise SpecError(f"Layer '{name}' cannot be quantized: {error}") from None


def _with_usable_scales(layer: QuantizedLayer) -> QuantizedLayer:
    """Return ``layer`` if an integer kernel can apply the scales of its input.

    Raises:
        SpecError: its input is no sequence of tokens, but has a scale for each.
    """
    quantized = layer.pinned is None or layer.pinned[1] != FLOAT_BITS
    per_token = isinstance(layer.activation_quantizer.granularity, PerToken)
    if quantized and per_token and isinstance(layer, QuantizedConv2d):
        raise SpecError(NO_TOKENS)
    return layer


def _flow(net: nn.Module, method: Method, chosen: Roles, example: Example | None) -> Flow | None:
    """Return how data flows through the float network ``net``, which ``method`` has prepared."""
    if type(method).transform_float is Method.transform_float:
        return chosen.flow
    has_norms = any(isinstance(module, _BatchNorm) for module in net.modules())
    return trace(net, example) if has_norms else None


def without_fast_path(net: nn.Module) -> None:
    """Let torch's transformer layers run the layers inside them, in evaluation too.

    They would otherwise give the weights to a function that knows of no bit-widths.
    """
    for module in net.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0


def _pinned(layer: nn.Module, is_first: bool, method: Method) -> QuantizedLayer:
    """Return the replacement of a first or last layer, whose quantizers know one bit-width alone.

    The network's input is never quantized.
    """
    bits = method.first_last_bits
    assert bits is not None
    sibling = type(method)(method.options, (bits,))
    sibling.is_first_last = True
    quantized = quantized_layer(layer, sibling)
    quantized.pinned = (bits, FLOAT_BITS if is_first or quantized.float_input else bits)
    quantized.switch(*quantized.pinned)
    return quantized


def quantized_layer(layer: nn.Module, method: Method) -> QuantizedLayer:
    """Return what replaces a float ``layer``: one that quantizes its weight and its input.

    Args:
        layer: A convolution or a linear layer; its parameters are taken over.
        method: Where the quantizers come from.
    """
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight, activation = method.weight_quantizer(layer.weight), method.activation_quantizer()
    if getattr(layer, _FLOAT_INPUT, False):
        activation = Unquantized()
    if isinstance(layer, nn.Conv2d):
        return QuantizedConv2d(layer, weight, activation, method.bitset)
    return QuantizedLinear(layer, weight, activation, method.bitset)


def _normalization(norm: _BatchNorm, method: Method) -> nn.Module:
    """Return the replacement of a batch norm."""
    return with_fused_parts(norm, method.normalization(norm))


def with_fused_parts(norm: nn.Module, replacement: nn.Module) -> nn.Module:
    """Return ``replacement``, followed by what is fused into ``norm``: dropout and activation."""
    fused = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(replacement, *fused) if fused else replacement
