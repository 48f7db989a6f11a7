"""The meta device stands for an accelerator: tensors of two devices do not mix, none has values.

Whatever would wait for the device (``item``, ``tolist``, ``bool``, ``cpu``, boolean masks) raises
there. ``transfers.to_host`` alone is replaced, and counted.
"""

import pytest
import torch
from torch.optim import adam, sgd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bitswitch.methods.eq_net import elastic_quantizers
from bitswitch.methods.lapq import clip_value
from bitswitch.methods.ptmq import squared_error
from bitswitch.quant.range_search import search_range
from bitswitch.runtime import transfers

META = torch.device("meta")


class Host:
    """What leaves the device: every number is 1, every flag is true."""

    def __init__(self):
        self.count = 0

    def __call__(self, values):
        if values.device != META:
            return values.tolist()
        self.count += 1
        return torch.ones(values.shape, dtype=values.dtype).tolist()

    def to_cpu(self, values):
        """Do the same for whole tensors; positions are those of the first images."""
        self.count += 1
        if values.dtype == torch.int64:
            return torch.arange(len(values))
        return torch.ones(values.shape)

    def since(self):
        """Return how many transfers there were since the last time."""
        count, self.count = self.count, 0
        return count


class Uploads(TorchDispatchMode):
    """Counts what is sent to the device: it waits for that too, unless the memory is pinned.

    A scalar of the processor beside tensors of the device is none: it goes with the kernel.
    """

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if any(one.device == META for one in _tensors(found)):
            here = any(one.device != META and one.dim() for one in _tensors((args, kwargs)))
            self.count += here or function is torch.ops.aten.lift_fresh.default
        return found


def _tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Draw:
    """A generator of the meta device, which has none of its own; random tensors have no values."""

    device = META

    def manual_seed(self, seed):
        return self


def _fused(*lists, lr, **options):
    """Stand for a fused kernel of an optimizer: a rate in memory is where and as GPUs read it."""
    if isinstance(lr, torch.Tensor):
        assert (lr.device, lr.dtype, lr.dim()) == (META, torch.float32, 0)
    for parameters in lists:
        assert {one.device for one in parameters} <= {META}


@pytest.fixture(scope="module", autouse=True)
def fused_kernels():
    """Give the meta device the fused kernels of optimizers that it lacks."""
    with torch.library._scoped_library("aten", "IMPL", "Meta") as kernels:
        for name in ("_fused_adam_", "_fused_adamw_", "_fused_sgd_"):
            kernels.impl(f"{name}.tensor_lr", _fused)
        kernels.impl("_fused_sgd_", _fused)
        yield


def few(count):
    """Return the search for ranges, of at most so many candidates."""

    def search(rows, ends, codes, centred, candidates, power):
        return search_range(rows, ends, codes, centred, min(candidates, count), power)

    return search


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let every search of ranges try few of its candidates, all alike here."""
    for optimizer in (adam, sgd):
        monkeypatch.setattr(optimizer, "_device_dtype_check_for_fused", lambda *args: None)
    monkeypatch.setattr(clip_value, "search_range", few(2))
    monkeypatch.setattr(elastic_quantizers, "search_range", few(9))
    monkeypatch.setattr(squared_error, "_CANDIDATES", 2)


@pytest.fixture(autouse=True)
def host(monkeypatch):
    """Return the only way from the meta device to Python."""
    made = Host()
    monkeypatch.setattr(transfers, "to_host", made)
    monkeypatch.setattr(transfers, "to_cpu", made.to_cpu)
    return made


@pytest.fixture
def drawing(monkeypatch):
    """Let random tensors be drawn on the meta device by generators of its own."""
    make = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda at="cpu": Draw() if at == META else make(at))
    for name in ("rand", "randint"):
        monkeypatch.setattr(torch, name, _drawing(getattr(torch, name)))


def _drawing(function):
    def drawn(*shape, generator=None, **options):
        more = {} if isinstance(generator, Draw) else {"generator": generator}
        return function(*shape, **more, **options)

    return drawn
