"""The operations of a network, and the shapes of what they give.

A network is traced by symbols, then its operations are run twice, on two and on three images: a
size that is the same in both is a number of the graph, one that differs is read when the graph
runs.
"""

from typing import Any

import torch
from torch import Tensor, fx, nn

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.onnx.operators.calls import Form
from bitswitch.deployment.onnx.operators.tables import MODULES

FORM = "form"
"""Key of an operation's ``meta``: the ``Form`` of what it gives, or a tuple of them."""


def trace(net: nn.Module, image: tuple[int, ...]) -> fx.Graph:
    """Return the operations of ``net``, each with the form of what it gives.

    Args:
        net: With integer layers and folded batch norms.
        image: (channels, height, width).

    Raises:
        Exception: whatever a forward() meets that was not written for symbols.
    """
    traced = _Tracer().trace(net)
    device = next(iter(net.state_dict().values())).device
    runs = [_Run(net, traced, torch.zeros(count, *image, device=device)) for count in (2, 3)]
    for node in traced.nodes:
        node.meta[FORM] = _common(*(run.forms[node] for run in runs))
    return traced


class _Tracer(fx.Tracer):
    """Finds the operations of a network; layers are one each."""

    proxy_buffer_attributes = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, IntegerLayer | FoldedBatchNorm) or type(m) in MODULES
        return known or super().is_leaf_module(m, module_qualified_name)

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any
    ) -> Any:
        """Return a symbol, or the default of what forward() may be given beside the images."""
        if kind == "placeholder" and args:
            return args[0]
        return super().create_proxy(kind, target, args, kwargs, *more, **named)


class _Run(fx.Interpreter):
    """Runs all operations once; integer layers give something of the right shape."""

    def __init__(self, net: nn.Module, traced: fx.Graph, images: Tensor) -> None:
        super().__init__(net, graph=traced)
        self.forms: dict[fx.Node, Any] = {}
        with torch.no_grad():
            self.run(images)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.forms[n] = _forms(result)
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)
        if isinstance(module, IntegerLayer):
            return module.products(args[0].float(), module.codes.float())
        return args[0] if isinstance(module, FoldedBatchNorm) else module(*args, **kwargs)


def _forms(result: Any) -> Any:
    """Return the form of a tensor, or of all that a sequence holds; None: of anything else."""
    if isinstance(result, Tensor):
        return Form(tuple(result.shape), result.dtype)
    return tuple(map(_forms, result)) if isinstance(result, tuple | list) else None


def _common(first: Any, second: Any) -> Any:
    """Return what two runs have in common."""
    if isinstance(first, Form):
        sizes = zip(first.shape, second.shape, strict=True)
        return Form(tuple(a if a == b else None for a, b in sizes), first.dtype)
    return None if first is None else tuple(map(_common, first, second))
