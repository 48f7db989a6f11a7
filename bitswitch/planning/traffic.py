"""What a computation asks of a device: operations, bytes, and kernels; counted, not timed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bitswitch.planning.devices import Work

EXAMPLES = 13
"""So many are counted with: a prime number, which divides the size of no weight in use."""

MOST_READ = 12
"""Values that one may be made from, each as large as itself, before it is written."""


class Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the work of everything that runs inside, also on the meta device.

    Fusion is that of an ideal compiler: an elementwise operation costs nothing until something
    else than one reads what it made, be it a product, a sum, or an update in place. Then one
    kernel reads what it was made from, and writes it for all who read it later; a sum is part of
    that kernel. A normalisation is a sum, and elementwise after that. Products and convolutions are
    kernels of their own.

    Bytes of values that ``EXAMPLES`` examples have are told from those of weights by their size.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._of_examples: Counter[str] = Counter()
        self._rest: Counter[str] = Counter()
        self._sources: dict[int, dict[int, Tensor]] = {}
        """Of values that were not written yet, by storage: what they are made from."""
        self._held: list[Any] = []
        """Storages of these, so that no other takes the address of one."""

    @property
    def examples(self) -> Work:
        """Bytes of what grows with the number of examples."""
        return Work(**self._of_examples)

    @property
    def rest(self) -> Work:
        """All else that was counted."""
        return Work(**self._rest)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func._overloadpacket
        if func.is_view or packet in _FREE:
            return out
        inputs, outputs = list(_tensors((args, tuple(kwargs.values())))), list(_tensors(out))
        if not outputs and not _is_written(func):
            return out
        self._rest["kernels"] += len(outputs) if packet in flop_registry else 1
        if packet in flop_registry:
            self._rest["flops"] += flop_registry[packet](*args, **kwargs, out_val=out)
            self._product(inputs, outputs)
            return out
        again = inputs[:2] if packet in _READ_TWICE else []
        self._add([*inputs, *outputs, *again], "other_bytes")
        if packet in _NORMS or torch.Tag.reduction in func.tags:
            self._sum(inputs, outputs, written=packet not in _NORMS)
        elif torch.Tag.pointwise in func.tags or packet in _ELEMENTWISE:
            self._map(func, inputs, outputs or inputs)
        else:
            self._write(inputs)
            self._launch([*inputs, *outputs])
        return out

    def _product(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Count the kernels of a product, one for each output."""
        self._add([*inputs, *outputs], "product_bytes")
        self._write(inputs)
        self._rest["fused_kernels"] += len(outputs)

    def _sum(self, inputs: list[Tensor], outputs: list[Tensor], written: bool) -> None:
        """Count a kernel that adds up; what it gives is written, or made when it is read."""
        made_from = self._made_from(inputs)
        self._launch([*made_from.values(), *(outputs if written else [])])
        for one in () if written else outputs:
            self._hold(one, made_from)

    def _map(self, func: Any, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Make values when they are read; what was written before is written again at once."""
        made_from = self._made_from(inputs)
        if _is_written(func) and any(_address(one) not in self._sources for one in outputs):
            self._launch([*made_from.values(), *outputs])
            # Gradients add up outside of compiled graphs; counters of batch norms do not.
            self._rest["host_kernels"] += outputs[0].is_floating_point()
            for one in outputs:
                self._sources.pop(_address(one), None)
            return
        for one in outputs:
            self._hold(one, made_from)

    def _made_from(self, inputs: Iterable[Tensor]) -> dict[int, Tensor]:
        """Return what a fused kernel has to read for ``inputs``, by storage."""
        found: dict[int, Tensor] = {}
        for one in inputs:
            found |= self._sources.get(_address(one), {_address(one): one})
        return found

    def _hold(self, value: Tensor, made_from: dict[int, Tensor]) -> None:
        """Keep a value to be made when it is read, unless that takes too much reading."""
        if sum(one.numel() >= value.numel() for one in made_from.values()) > MOST_READ:
            self._launch([*made_from.values(), value])
            return
        self._sources[_address(value)] = made_from
        self._held.append(value.untyped_storage())

    def _write(self, values: Iterable[Tensor]) -> None:
        """Write what a kernel of its own reads, unless it is there."""
        for value in values:
            made_from = self._sources.pop(_address(value), None)
            if made_from is not None:
                self._launch([*made_from.values(), value])

    def _launch(self, moved: Iterable[Tensor]) -> None:
        self._add(moved, "fused_bytes")
        self._rest["fused_kernels"] += 1

    def _add(self, moved: Iterable[Tensor], field: str) -> None:
        for one in moved:
            grows = one.numel() % EXAMPLES == 0
            (self._of_examples if grows else self._rest)[field] += _bytes(one)


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield all tensors in values that are nested in lists and tuples."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for one in values:
            yield from _tensors(one)


def _is_written(func: Any) -> bool:
    """Return whether an operation changes what it is given."""
    return bool(func._schema.is_mutable)


def _address(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor in memory, each once."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else 1
    return count * tensor.element_size()


_ATEN = torch.ops.aten
_FREE = {
    _ATEN.empty,
    _ATEN.empty_like,
    _ATEN.empty_strided,
    _ATEN.new_empty,
    _ATEN.new_empty_strided,
    _ATEN._unsafe_view,
    _ATEN.lift_fresh,
    _ATEN._local_scalar_dense,
}
_ELEMENTWISE = {
    _ATEN._to_copy,
    _ATEN.cat,
    _ATEN.stack,
    _ATEN.copy_,
    _ATEN.fill_,
    _ATEN.zero_,
    _ATEN.zeros,
    _ATEN.zeros_like,
    _ATEN.new_zeros,
    _ATEN.ones,
    _ATEN.ones_like,
    _ATEN.full,
    _ATEN.full_like,
    _ATEN.scalar_tensor,
}
"""Besides those that torch says are."""
_READ_TWICE = {
    _ATEN.native_batch_norm,
    _ATEN.native_batch_norm_backward,
    _ATEN._native_batch_norm_legit,
    _ATEN._batch_norm_with_update,
    _ATEN.batch_norm_backward,
}
"""What needs a sum over all examples before it begins."""
_NORMS = _READ_TWICE | {
    _ATEN.native_layer_norm,
    _ATEN.native_layer_norm_backward,
    _ATEN._softmax,
    _ATEN._softmax_backward_data,
    _ATEN._log_softmax,
    _ATEN._log_softmax_backward_data,
}
"""What sums first, and is elementwise then."""
