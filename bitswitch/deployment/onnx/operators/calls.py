"""One operation of a network, as translations see it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from bitswitch.deployment.onnx.graph import Graph


class UnsupportedError(Exception):
    """An operation that has no translation here."""


class Form(NamedTuple):
    """What is known of a tensor before it is computed."""

    shape: tuple[int | None, ...]
    """None: a size that depends on the number of images."""
    dtype: torch.dtype


class Value(str):
    """Name of a tensor in the graph.

    Args:
        name: In the graph.
        form: Of the tensor.
    """

    form: Form

    def __new__(cls, name: str, form: Form) -> "Value":
        value = super().__new__(cls, name)
        value.form = form
        return value

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Its sizes; None: one that depends on the number of images."""
        return self.form.shape


class Size(str):
    """Name of one size, int64 [1], that depends on the number of images."""

    __slots__ = ()


class Call(NamedTuple):
    """One operation of a network; tensors of the graph are given by their names."""

    graph: Graph
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: nn.Module | None
    """What is called; None: a function."""

    @property
    def x(self) -> Value:
        """The input; see ``value``."""
        return self.value(0, "input")

    def value(self, position: int, name: str) -> Value:
        """Return an argument that must be a tensor, given by position or by name.

        Raises:
            UnsupportedError: it is none of the graph.
        """
        found = self.args[position] if len(self.args) > position else self.kwargs.get(name)
        if not isinstance(found, Value):
            raise UnsupportedError("a call with something else where a tensor should be")
        return found

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, given by position or by name; an attribute of a module."""
        if self.module is not None:
            return getattr(self.module, name, default)
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def several(self, position: int, name: str) -> list[Any]:
        """Return the arguments from ``position`` on, given one by one or as one sequence."""
        found = self.args[position:] or (self.kwargs.get(name),)
        single = (
            len(found) == 1 and isinstance(found[0], Sequence) and not isinstance(found[0], str)
        )
        return list(found[0] if single else found)

    def axis(self, dim: Any, what: str) -> int:
        """Return which dimension of the input ``dim`` is, counted from the first.

        Raises:
            UnsupportedError: ``dim`` is not a number; ``what`` says where.
        """
        return axis_of(dim, len(self.x.shape), what)

    def part(
        self, x: str, axis: int, start: int | Size, end: int | Size, step: int | Size = 1
    ) -> str:
        """Return ``x`` from ``start`` to ``end`` along one dimension."""
        bounds = (
            one if isinstance(one, Size) else self.graph.constant([one], np.int64)
            for one in (start, end, axis, step)
        )
        return self.graph.add("Slice", x, *bounds)


def axis_of(dim: Any, rank: int, what: str) -> int:
    """Return which of ``rank`` dimensions ``dim`` is, counted from the first.

    Raises:
        UnsupportedError: ``dim`` is not a number; ``what`` says where.
    """
    if not isinstance(dim, int):
        raise UnsupportedError(f"{what} by other things than a number")
    return dim % rank
