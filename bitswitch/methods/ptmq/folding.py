"""Fold batch norms into the layers before them: the same function, fewer layers."""

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights


def fold_batch_norms(net: nn.Module) -> list[str]:
    """Fold every batch norm of ``net`` that can be folded, in place; return their names.

    That is one with running statistics that reads a convolution or linear layer directly, where
    nothing else reads that layer. The folded network computes in both modes what ``net`` computed
    in evaluation mode, up to rounding. Of a network that cannot be traced symbolically nothing
    is folded.
    """
    modules = dict(net.named_modules())
    pairs = _pairs(net)
    for layer, norm in pairs:
        _fold(modules[layer], modules[norm])
        net.set_submodule(norm, _rest(modules[norm]))
    return [norm for _, norm in pairs]


class _Tracer(fx.Tracer):
    """Does not look into layers, nor into batch norms with a fused activation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, nn.Conv2d | nn.Linear | _BatchNorm)
        return known or super().is_leaf_module(m, module_qualified_name)


def _pairs(net: nn.Module) -> list[tuple[str, str]]:
    """Return names of layers and of the batch norms to fold into them."""
    try:
        graph = _Tracer().trace(net)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError):
        return []  # control flow that depends on values: fx has no exception of its own for all
    calls = [node for node in graph.nodes if node.op == "call_module"]
    once = {node.target for node in calls if sum(n.target == node.target for n in calls) == 1}
    modules = dict(net.named_modules())
    return [
        (source.target, node.target)
        for node in calls
        for source in node.all_input_nodes
        if source.op == "call_module"
        and {source.target, node.target} <= once
        and len(source.users) == 1
        and isinstance(modules[source.target], nn.Conv2d | nn.Linear)
        and isinstance(modules[node.target], _BatchNorm)
        and modules[node.target].running_mean is not None
    ]


@torch.no_grad()
def _fold(layer: nn.Module, norm: nn.Module) -> None:
    """Let ``layer`` compute what ``norm`` made of its output in evaluation mode."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.ones_like(norm.running_var) if norm.weight is None else norm.weight
    shift = torch.zeros_like(norm.running_mean) if norm.bias is None else norm.bias
    fuse = fuse_conv_bn_weights if isinstance(layer, nn.Conv2d) else fuse_linear_bn_weights
    statistics = norm.running_mean, norm.running_var
    layer.weight, layer.bias = fuse(layer.weight, layer.bias, *statistics, norm.eps, scale, shift)


def _rest(norm: nn.Module) -> nn.Module:
    """Return what is left of a batch norm: the dropout and activation fused into it, if any."""
    fused = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*fused) if fused else nn.Identity()
