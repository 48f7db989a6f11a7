"""The public implementation of Hessian traces, asked for every layer's."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.errors import SpecError
from bitswitch.training.clock import Instant


class Probes(NamedTuple):
    """What some probes said, and took."""

    values: Tensor
    """float64 [probes, layers]."""
    probe_s: float
    """Processor time of one; the forward and first backward pass, once per batch, left out."""


def pyhessian_probes(
    net: nn.Module, images: Tensor, labels: Tensor, layers: Sequence[str], count: int
) -> Probes:
    """Return the traces that ``count`` joint probes of PyHessian estimate, one by one.

    PyHessian sums v * Hv over all parameters. Here its signs and its product with the Hessian are
    used as they are, but the sum is taken for each layer, and everything but the layers' weights is
    frozen: both are to its advantage over a run for each layer.

    Args:
        net: Stays in evaluation mode; its gradients are cleared.
        images: One batch, on the processor.
        labels: Of the images.
        layers: Names of convolutions and linear layers.
        count: How many probes.

    Raises:
        SpecError: PyHessian is not installed.

    Source: yao2020pyhessian.
    """
    try:
        from pyhessian import hessian
        from pyhessian.utils import hessian_vector_product
    except ImportError as error:
        raise SpecError(
            "Benchmark 'hessian' compares with PyHessian, which is not installed.\n"
            "  Install it: pip install pyhessian"
        ) from error
    net.requires_grad_(False)
    weights = [net.get_submodule(name).get_parameter("weight").requires_grad_() for name in layers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # backward with create_graph keeps cycles
        measured = hessian(net, nn.CrossEntropyLoss(), data=(images, labels), cuda=False)
    places = [next(i for i, p in enumerate(measured.params) if p is weight) for weight in weights]
    rows, began = [], Instant.now().cpu
    for _ in range(count):
        signs = [2 * torch.randint_like(p, high=2) - 1 for p in measured.params]
        products = hessian_vector_product(measured.gradsH, measured.params, signs)
        rows.append([float((signs[i] * products[i]).sum()) for i in places])
    seconds = Instant.now().cpu - began
    net.zero_grad(set_to_none=True)  # breaks the cycles
    net.requires_grad_(True)
    return Probes(torch.tensor(rows, dtype=torch.float64), seconds / count)
