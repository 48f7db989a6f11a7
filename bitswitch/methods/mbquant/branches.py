"""Parallel copies of a network's body, of which a bit-width uses some."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from bitswitch.errors import BitWidthError
from bitswitch.quant.per_bit import Switchable
from bitswitch.runtime import transfers
from bitswitch.types import FLOAT_BITS


class BranchSelection(Switchable):
    """Which branches the bit-width in use runs.

    Per-layer policies give branches no meaning of their own: the last quantized layer of the last
    branch decides.

    Args:
        branches: All of them.
        serving: Positions of the branches that serve each bit-width, widest first; at full
            precision all of them run.
    """

    def __init__(
        self, branches: Sequence[nn.Module], serving: Mapping[int, tuple[int, ...]]
    ) -> None:
        super().__init__()
        self.bitset = tuple(serving)
        self._branches = tuple(branches)  # a tuple, so that they are not registered twice
        self._serving = {**serving, FLOAT_BITS: tuple(range(len(branches)))}
        self.switch(self.bitset[0])

    def switch(self, bits: int) -> None:
        self.bits = bits
        self.active = self._serving[bits]

    def follow(self, layer: tuple[int, int], before: tuple[int, int]) -> None:
        self.switch(min(layer))

    def inactive_parameters(self) -> list[nn.Parameter]:
        """Return all parameters of the branches that are not in use."""
        idle = [b for index, b in enumerate(self._branches) if index not in self.active]
        return [parameter for branch in idle for parameter in branch.parameters()]


class Branches(nn.Module):
    """Runs those branches on one input that serve the bit-width in use; their mean goes on.

    Args:
        branches: Modules of one form.
        serving: See ``BranchSelection``.
    """

    def __init__(
        self, branches: Sequence[nn.Module], serving: Mapping[int, tuple[int, ...]]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.selection = BranchSelection(branches, serving)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [self.branches[index](x) for index in self.selection.active]
        mean: Tensor = reduce(torch.add, outputs) / len(outputs)
        return mean


def copies(body: nn.Module, count: int, noise: float) -> list[nn.Module]:
    """Return ``body`` and ``count - 1`` copies of it, each slightly different.

    Branches that serve the same bit-widths would otherwise stay equal for ever.

    Args:
        body: The first branch, left as it is.
        count: How many branches there are.
        noise: Deviation of what is added to the copies' weights, in deviations of those weights.
    """
    branches = [body, *(copy.deepcopy(body) for _ in range(count - 1))]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for branch in branches[1:]:
            for weight in (p for p in branch.parameters() if p.dim() > 1):
                drawn = torch.randn(weight.shape, generator=generator).to(weight)
                weight.add_(drawn, alpha=noise * transfers.to_host(weight.std()))
    return branches


def branch_out(net: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Return ``net`` with its body, all between stem and classifier, replaced by ``wrap(body)``.

    Known forms: CIFAR ResNets (``stages``), ImageNet ResNets (``layer1`` to ``layer4``), MobileNets
    (all ``features`` after the first), and a plain ``nn.Sequential`` (all but its ends).

    Raises:
        BitWidthError: a form that is not known.
    """
    if hasattr(net, "stages"):
        net.stages = wrap(net.get_submodule("stages"))
    elif hasattr(net, "layer4"):
        stages = OrderedDict((f"layer{n}", net.get_submodule(f"layer{n}")) for n in range(1, 5))
        for name in stages:
            setattr(net, name, nn.Identity())
        net.layer1 = wrap(nn.Sequential(stages))
    elif isinstance(features := getattr(net, "features", None), nn.Sequential):
        net.features = nn.Sequential(features[0], wrap(features[1:]))
    elif isinstance(net, nn.Sequential):
        return nn.Sequential(net[0], wrap(net[1:-1]), net[-1])
    else:
        raise BitWidthError(
            f"{type(net).__name__} cannot be given branches: it is not known where its body begins "
            f"and ends.\n  Known are ResNets, MobileNets and plain sequences of layers."
        )
    return net
