"""Whether a network's logits are piecewise linear in each of its weight tensors on its own.

What autograd recorded is looked at, so that functions count as much as modules.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from bitswitch.errors import SpecError

SUMS = frozenset(
    (
        *("Add", "Sub", "Neg", "Sum", "Mean", "Cat", "Stack", "Clone", "ToCopy", "Alias"),
        *("View", "UnsafeView", "ReshapeAlias", "AsStrided", "Squeeze", "Unsqueeze", "Expand"),
        *("Permute", "Transpose", "T", "Mt", "Repeat", "Flip", "Roll", "Slice", "Select", "Index"),
        *("Split", "SplitWithSizes", "Unbind", "CopySlices", "PixelShuffle", "PixelUnshuffle"),
        *("ConstantPadNd", "ReflectionPad2D", "ReplicationPad2D"),
        *("AvgPool2D", "AdaptiveAvgPool2D", "UpsampleNearest2D", "UpsampleBilinear2D"),
    )
)
"""Linear in all that they read at once."""
KINKS = frozenset(
    (
        *("Relu", "Hardtanh", "Threshold", "LeakyRelu", "PreluKernel", "Abs"),
        *("Clamp", "ClampMin", "ClampMax", "Maximum", "Minimum", "Max", "Min", "Amax", "Amin"),
        *("MaxPool2DWithIndices", "AdaptiveMaxPool2D"),
    )
)
"""Piecewise linear in all that they read at once."""
PRODUCTS = frozenset(("Mul", "Mm", "Mv", "Bmm", "Addmm", "Baddbmm", "Convolution", "Linear"))
"""Linear in each of their operands."""
NORMS = frozenset(("NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"))
"""Linear as long as the statistics are frozen."""
ADVICE = "Take the estimator 'hutchinson', which any network allows."


def require_piecewise_linear(
    model: nn.Module, weights: Mapping[str, Tensor], images: Tensor
) -> None:
    """Make sure that the logits of ``model`` are piecewise linear in each of ``weights``.

    Args:
        model: In evaluation mode; none of its parameters but ``weights`` require gradients.
        weights: By name of their layer.
        images: A few [n, ...].

    Raises:
        SpecError: they are not, or a weight is not used exactly once.
    """
    with torch.enable_grad(), _makers(model) as made_by:
        logits = model(images)
        nodes = list(_in_order(logits.grad_fn))
    _require_one_use(nodes, weights)
    names = {weight: name for name, weight in weights.items()}
    reached: dict[Node | None, frozenset[str]] = {None: frozenset()}
    for node in nodes:
        operands = [reached[source] for source, _ in node.next_functions]
        leaf = _leaf(node)
        own = {names[leaf]} if leaf in names else set()
        reached[node] = frozenset().union(*operands, own)
        flaw = _flaw(node, operands)
        if flaw:
            raise SpecError(
                f"Gauss-Newton traces are those of the Hessian only where the logits are piecewise "
                f"linear in every single weight tensor; {made_by.get(node, 'the network')} {flaw}."
                f"\n  {ADVICE}"
            )


def _flaw(node: Node, operands: list[frozenset[str]]) -> str | None:
    """Return what makes the result of ``node`` curved in a weight its operands depend on."""
    kind = re.sub(r"Backward\d*$", "", node.name())
    if not any(operands) or kind in SUMS or kind in KINKS:
        return None
    if kind in NORMS:
        frozen = not node._saved_training  # type: ignore[attr-defined]  # every norm has it
        return None if frozen else "normalizes by the statistics of the batch"
    if kind == "Div" and not any(operands[1:]):
        return None
    if kind in PRODUCTS:
        uses = Counter(name for operand in operands for name in operand)
        shared = [name for name, count in uses.items() if count > 1]
        return f"multiplies two tensors that depend on layer '{min(shared)}'" if shared else None
    return f"computes '{kind}'"


def _require_one_use(nodes: list[Node], weights: Mapping[str, Tensor]) -> None:
    uses = Counter(_leaf(source) for node in nodes for source, _ in node.next_functions)
    for name, weight in weights.items():
        if uses[weight] != 1:
            raise SpecError(
                f"Gauss-Newton traces need every weight tensor to be used once; that of layer "
                f"'{name}' is used {uses[weight]} times.\n  {ADVICE}"
            )


def _leaf(node: Node | None) -> Tensor | None:
    """Return the tensor that ``node`` stands for, if it is one that requires gradients."""
    return getattr(node, "variable", None)


def _in_order(last: Node | None) -> Iterator[Node]:
    """Yield the nodes of a graph, each after all that it reads."""
    seen: set[Node] = set()
    pending = [(last, False)]
    while pending:
        node, is_complete = pending.pop()
        if node is None:
            continue
        if is_complete:
            yield node
        elif node not in seen:
            seen.add(node)
            pending.append((node, True))
            pending += [(source, False) for source, _ in reversed(node.next_functions)]


@contextmanager
def _makers(model: nn.Module) -> Iterator[dict[Node, str]]:
    """Note, inside, which module made each node: the innermost one."""
    made_by: dict[Node, str] = {}

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        pending = _nodes_of(output)
        stop = set(_nodes_of(inputs))
        seen = set(stop)
        while pending:
            node = pending.pop()
            if node not in seen:
                seen.add(node)
                # A module inside this one returns, and is noted, before it.
                made_by.setdefault(node, f"'{name}' ({type(module).__name__})")
                pending += [source for source, _ in node.next_functions if source is not None]

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_hook(partial(note, name)).remove)
        yield made_by


def _nodes_of(values: Any) -> list[Node]:
    """Return the nodes that made the tensors among ``values``."""
    found = values if isinstance(values, tuple | list) else (values,)
    return [v.grad_fn for v in found if isinstance(v, Tensor) and v.grad_fn is not None]
