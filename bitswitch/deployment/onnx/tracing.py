"""The operations of a network, and the shapes of what they give.

A network is traced by symbols, whose operations are run at once on two sizes of every input, two
and three images say: what is the same in both is a number of the graph, a size that differs is read
when the graph runs.
"""

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import Attribute

from bitswitch.deployment.layers import FoldedBatchNorm, IntegerLayer
from bitswitch.deployment.onnx.operators.calls import Form, UnsupportedError
from bitswitch.deployment.onnx.operators.tables import MODULES

FORM = "form"
"""Key of an operation's ``meta``: the ``Form`` of what it gives, or a tuple of them."""


def trace(net: nn.Module, *examples: Sequence[Tensor]) -> fx.Graph:
    """Return the operations of ``net``, each with the form of what it gives.

    Args:
        net: With integer layers and folded batch norms.
        examples: Two lists of its inputs, which differ in the sizes that the graph leaves open.

    Raises:
        Exception: whatever a forward() meets that was not written for symbols.
    """
    with torch.no_grad():
        return _Tracer(examples).trace(net)


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


class _Symbol(fx.Proxy):
    """Stands for a value; what is the same for both examples is no symbol."""

    tracer: "_Tracer"

    def __getattr__(self, name: str) -> Any:
        first = self.tracer.values[self.node][0]
        if not isinstance(first, Tensor) or name not in ("shape", "dtype", "device", "ndim"):
            return super().__getattr__(name)
        if name != "shape":
            return getattr(first, name)
        sizes: Any = Attribute(self, name)
        known = self.node.meta[FORM].shape
        return tuple(sizes[axis] if size is None else size for axis, size in enumerate(known))


class _Tracer(fx.Tracer):
    """Finds the operations of a network, and runs each of them; layers are one each.

    What is changed in place must not be read again under the name of another view of it: to a graph
    they are values of their own.

    Args:
        examples: Two lists of inputs.
    """

    proxy_buffer_attributes = True

    def __init__(self, examples: Sequence[Sequence[Tensor]]) -> None:
        super().__init__()
        self._inputs = [iter(inputs) for inputs in examples]
        self.values: dict[fx.Node, list[Any]] = {}
        """What each operation gives for both."""
        self._versions: dict[fx.Node, int | None] = {}
        """How often what each gave had been changed in place when it was known last."""
        self._running = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, IntegerLayer | FoldedBatchNorm) or type(m) in MODULES
        return known or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Symbol(node, self)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Trace a call of a module, unless it is part of an operation that is run."""
        if self._running:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Return a symbol for a tensor of a module, unless an operation that is run reads it."""
        if self._running:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any
    ) -> Any:
        """Return a symbol, or the default of what forward() may be given beside its inputs."""
        if kind == "placeholder" and args:
            return args[0]
        return super().create_proxy(kind, target, args, kwargs, *more, **named)

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any
    ) -> fx.Node:
        """Return an operation, once it was run."""
        node = super().create_node(kind, target, args, kwargs, *more, **named)
        for one in node.all_input_nodes:
            if _version(self.values[one]) != self._versions[one]:
                raise UnsupportedError(
                    f"'{one.name}' is read after an operation in place on another view of it"
                )
        self._running = True
        try:
            self.values[node] = [self._run(node, which) for which in (0, 1)]
        finally:
            self._running = False
        self._versions[node] = _version(self.values[node])
        if is_in_place(node, self._named):
            self._versions[node.args[0]] = self._versions[node]  # type: ignore[index]
        node.meta[FORM] = _common(*map(_forms, self.values[node]))
        return node

    @cached_property
    def _named(self) -> Mapping[str, nn.Module]:
        return dict(self.root.named_modules(remove_duplicate=False))

    def _run(self, node: fx.Node, which: int) -> Any:
        """Return what ``node`` gives for one of the examples."""
        args, kwargs = fx.node.map_arg(
            (node.args, node.kwargs), lambda one: self.values[one][which]
        )
        if node.op == "placeholder":
            return next(self._inputs[which])
        if node.op == "output":
            return args[0]
        if node.op == "get_attr":
            return attrgetter(str(node.target))(self.root)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        if node.op == "call_module":
            return _called(self.root.get_submodule(str(node.target)), args, kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


def _version(values: Sequence[Any]) -> int | None:
    """Return how often a tensor, or what it is a view of, was changed in place."""
    return values[0]._version if isinstance(values[0], Tensor) else None


def _called(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """Return what ``module`` gives; integer layers give something of the right shape."""
    if isinstance(module, IntegerLayer):
        return module.products(args[0].float(), module.codes.float())
    return args[0].clone() if isinstance(module, FoldedBatchNorm) else module(*args, **kwargs)


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
