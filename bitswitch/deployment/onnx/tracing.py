"""The operations of a network, and the shapes of what they give.

A network is traced by symbols, then its operations are run twice, on two and on three images: a
size that is the same in both is a number of the graph, one that differs is read when the graph
runs.
"""

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.onnx.operators.calls import Form, UnsupportedError
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


def is_in_place(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether an operation changes its first argument, which may be read again."""
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_")
    if node.op != "call_function" or getattr(node.target, "__module__", "") == "_operator":
        return node.target in _AUGMENTED  # and_() and or_() change nothing
    name = getattr(node.target, "__name__", "")
    return name.endswith("_") or bool(node.kwargs.get("inplace"))


_AUGMENTED = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
"""What ``+=`` and the like are."""


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
    """Runs all operations once; integer layers give something of the right shape.

    What is changed in place must not be read again under the name of another view of it: to a graph
    they are values of their own.
    """

    def __init__(self, net: nn.Module, traced: fx.Graph, images: Tensor) -> None:
        super().__init__(net, graph=traced)
        self.forms: dict[fx.Node, Any] = {}
        self._modules = dict(net.named_modules(remove_duplicate=False))
        self._versions: dict[Any, int | None] = {}
        """How often what each operation gave had been changed in place when it was known last."""
        with torch.no_grad():
            self.run(images)

    def run_node(self, n: fx.Node) -> Any:
        for node in n.all_input_nodes:
            if _version(self.env[node]) != self._versions[node]:
                raise UnsupportedError(
                    f"'{node.name}' is read after an operation in place on another view of it"
                )
        result = super().run_node(n)
        self.forms[n], self._versions[n] = _forms(result), _version(result)
        if is_in_place(n, self._modules):
            self._versions[n.args[0]] = self._versions[n]
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)
        if isinstance(module, IntegerLayer):
            return module.products(args[0].float(), module.codes.float())
        return args[0].clone() if isinstance(module, FoldedBatchNorm) else module(*args, **kwargs)


def _version(result: Any) -> int | None:
    """Return how often a tensor, or what it is a view of, was changed in place."""
    return result._version if isinstance(result, Tensor) else None


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
