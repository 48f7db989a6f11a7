"""A network that runs at several bit-widths."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bitswitch.nn.calibration import observe_inputs
from bitswitch.nn.compilation import (
    CAPTURING,
    MOST_CAPTURED,
    begin_captured_step,
    compiler,
    prepare_compilation,
)
from bitswitch.nn.dataflow import NO_ENDS, FirstLast, Flow
from bitswitch.nn.feed import check_observed, feed
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.order import Followed, by_flow, by_names
from bitswitch.nn.policy import resolve
from bitswitch.quant.per_bit import Switchable
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import FLOAT_BITS, BitSet, Policy

UNCALIBRATED = (
    "This network runs quantized before calibrate() and before load_state_dict(): activation "
    "scales are at initial values that fit nothing. Call calibrate() with a few batches first."
)


class QuantizedModel(nn.Module):
    """A network and the bit-widths it runs at; see ``quantize``.

    Args:
        net: Network whose layers have been converted.
        bitset: Bit-widths, widest first.
        float_parameters: Parameters of the network before.
        ends: Its first and last layers.
        flow: How data flows through it, where that is known.
        order: Names of layers and batch norms in an order that counts instead of ``flow``.
    """

    def __init__(
        self,
        net: nn.Module,
        bitset: BitSet,
        float_parameters: int,
        ends: FirstLast = NO_ENDS,
        flow: Flow | None = None,
        order: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.float_parameters = float_parameters
        self.ends = ends
        self.memory: nn.Module = nn.Module()
        """What a method keeps besides the network."""
        self.bitset = bitset
        self._parts = _parts(net)
        self.followed = self._followed(flow, order)
        """The layers that each normalisation comes after, by its name in ``net``."""
        self._has_scales = not any(map(_needs_scales, self.quantized_layers.values()))
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]
        self._compiled = self._captured = False
        self._kinds_of_passes: set[tuple[int, ...]] = set()
        """Of which each is captured once: bit-widths of a pass and of those before in the step."""
        self._policy: int | Policy = bitset[0]

    @property
    def layers(self) -> dict[str, QuantizedLayer]:
        """Layers whose bit-width can be switched, by name in ``net``, in registration order."""
        return {name: part for name, part in self.quantized_layers.items() if not part.pinned}

    @property
    def quantized_layers(self) -> dict[str, QuantizedLayer]:
        """All quantized layers, those of a fixed bit-width included."""
        parts = self._parts.items()
        return {name: part for name, part in parts if isinstance(part, QuantizedLayer)}

    def forward(self, x: Tensor) -> Tensor:
        told = self._has_scales or torch.compiler.is_compiling()  # a graph cannot warn
        if not told and self._policy != FLOAT_BITS:
            self._has_scales = True  # once is enough
            warnings.warn(UNCALIBRATED, stacklevel=2)
        if self._compiled and not self._in_graph:
            with torch.compiler.set_stance("force_eager"):
                output: Tensor = self.net(x)
                return output
        output = self.net(x)
        return output

    @property
    def _in_graph(self) -> bool:
        """Whether the compiled graph serves the present mode and policy."""
        return self.training and (self._policy != FLOAT_BITS or self.bitset == (FLOAT_BITS,))

    def compile(self, backend: str | None = None) -> None:
        """Train through one compiled graph for all bit-widths from now on.

        Evaluation and full precision stay eager: each would cost a compilation of its own. On a
        GPU its passes are captured and replayed, as long as ``begin_step`` says that they recur.

        Args:
            backend: Of ``torch.compile``; None: the one that suits the network.
        """
        prepare_compilation()
        device = next(self.net.parameters()).device
        self._captured = backend is None and device.type in CAPTURING
        backend_or_own = backend or compiler(self.net, self._captured)
        self.net.compile(backend=backend_or_own, dynamic=False)
        self._compiled = True

    def begin_step(self, passes: Sequence[int] | None) -> None:
        """Say that a training step begins.

        Args:
            passes: Bit-width of each; None: they are not for capturing, say because single layers
                take bit-widths of their own and nearly every pass would be another. Once that is
                so, or ``MOST_CAPTURED`` are captured, no pass is any more.
        """
        if not self._captured:
            return
        if passes is not None:
            self._kinds_of_passes |= {tuple(passes[: n + 1]) for n in range(len(passes))}
        if passes is None or len(self._kinds_of_passes) > MOST_CAPTURED:
            self._captured = False
            self.net.compile(backend=compiler(self.net), dynamic=False)
        else:
            begin_captured_step()

    def cut_batches(self, parts: int) -> None:
        """Say in how many parts training batches come from now on, one after the other or not."""
        for module in self.modules():
            if isinstance(module, QuantizedLayer):
                module.activation_quantizer.batch_parts = parts

    def switch(self, policy: int | Policy) -> None:
        """Run at ``policy`` from now on: one bit-width, or one (or a pair) for every layer.

        A normalisation is told the bit-widths of the two layers that it comes after (see
        ``followed``), or those of the first layer where there is none.

        Raises:
            BitWidthError: an unknown bit-width or layer, or a layer that is missing.
        """
        chosen = resolve(policy, self.layers, self.bitset)
        is_float = policy == FLOAT_BITS
        default = self.bitset[0] if isinstance(policy, Mapping) else int(policy)
        first = next(iter(chosen.values()), (default, default))
        for name, part in self._parts.items():
            if not isinstance(part, QuantizedLayer):
                part.follow(*self.followed[name].bits(chosen, first))
            elif part.pinned:
                part.switch(*((FLOAT_BITS, FLOAT_BITS) if is_float else part.pinned))
            else:
                part.switch(*chosen[name])
        self._policy = dict(policy) if isinstance(policy, Mapping) else int(policy)

    def _followed(self, flow: Flow | None, order: Sequence[str] | None) -> dict[str, Followed]:
        """Return what each normalisation follows; the order of registration is the last resort."""
        layers = self.layers
        known = {} if flow is None else by_flow(flow, layers)
        if order is not None and set(layers) <= set(order):
            known = by_names(order, layers)
        found = by_names(self._parts, layers)
        for name in found:
            place = name if name in known else name.removesuffix(".0")  # see with_fused_parts()
            found[name] = known.get(place, found[name])
        return found

    @contextmanager
    def at(self, policy: int | Policy) -> Iterator["QuantizedModel"]:
        """Run at ``policy`` inside the ``with`` block, then as before."""
        before = self._policy
        self.switch(policy)
        try:
            yield self
        finally:
            self.switch(before)

    @torch.no_grad()
    def calibrate(self, images: Iterable[Tensor]) -> None:
        """Initialise activation scales from what the layers see at full precision.

        Scales that are there already, learned or loaded, are replaced, with a warning.

        Args:
            images: Batches [n, ...] as the network takes them; running statistics are not touched.

        Raises:
            CalibrationError: they tell nothing, e.g. because there are none; scales stay.
        """
        layers = self.quantized_layers
        training = self.training
        try:
            self.eval()
            with self.at(FLOAT_BITS), observe_inputs(layers) as observed:
                feed(self, images)
        finally:
            self.train(training)
        seen = {name: one.values() if one.samples else None for name, one in observed.items()}
        check_observed(seen)
        if self._has_scales and any(map(_needs_scales, layers.values())):
            warnings.warn("calibrate() replaces activation scales that were set.", stacklevel=2)
        for name, layer in layers.items():
            layer.activation_quantizer.initialize(observed[name].values())
        self._has_scales = True

    def scale_parameters(self) -> dict[str, nn.Parameter]:
        """Return the learned scales of all quantizers and bit-widths by name."""
        return {
            f"net.{name}.{operand}_quantizer.{last}": parameter
            for name, layer in self.quantized_layers.items()
            for operand, quantizer in layer.quantizers.items()
            for last, parameter in quantizer.scales().items()
        }

    def other_parameters(self) -> dict[str, nn.Parameter]:
        """Return all parameters that are no scales, by name."""
        scales = self.scale_parameters()
        return {name: p for name, p in self.named_parameters() if name not in scales}

    def active_scales(self) -> dict[tuple[str, str], nn.Parameter]:
        """Return the scale in use by (layer, ``weight`` or ``activation``)."""
        idle = {id(parameter) for parameter in self.inactive_parameters()}
        return {
            (name, operand): parameter
            for name, layer in self.quantized_layers.items()
            for operand, quantizer in layer.quantizers.items()
            for parameter in quantizer.scales().values()
            if id(parameter) not in idle
        }

    def inactive_parameters(self) -> list[nn.Parameter]:
        """Return parameters of bit-widths, and scales, that the present policy does not use."""
        return [
            parameter for part in self._parts.values() for parameter in part.inactive_parameters()
        ]


def _needs_scales(layer: QuantizedLayer) -> bool:
    return type(layer.activation_quantizer).initialize is not Quantizer.initialize


def _loaded(model: "QuantizedModel", keys: Any) -> None:
    """Remember that scales have been loaded; called by torch."""
    if not any(".activation_quantizer." in key for key in keys.missing_keys):
        model._has_scales = True


def _parts(net: nn.Module) -> dict[str, QuantizedLayer | Switchable]:
    """Return layers and normalisations to switch by name, not the switchable parts inside them."""
    parts: dict[str, QuantizedLayer | Switchable] = {}
    for name, module in net.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in parts)
        if isinstance(module, QuantizedLayer | Switchable) and not inside:
            parts[name] = module
    return parts
