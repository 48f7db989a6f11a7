"""Learned scales: what they are, and how a module keeps them apart from other parameters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from torch import Tensor, nn


class Scale(nn.Parameter):
    """A learned scale of a quantizer, of any shape.

    The optimizer for scales trains it, without weight decay; every other parameter of a quantizer
    is trained as a weight is.

    Args:
        value: Initial value; shared, not copied.
        requires_grad: Whether it is trained.

    >>> import torch
    >>> quantizer = nn.Module()
    >>> quantizer.step = Scale(torch.ones(()))
    >>> [name for name, p in quantizer.named_parameters() if isinstance(p, Scale)]
    ['step']
    """

    def __new__(cls, value: Tensor, requires_grad: bool = True) -> Self:
        """Return ``value`` as a scale, also where it is one already."""
        return super().__new__(cls, value.detach(), requires_grad)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Say how to pickle it; a plain parameter would come back as a plain parameter."""
        return type(self), (self.data, self.requires_grad)


class ScaleHolder(nn.Module):
    """A module whose scales stay ``Scale`` wherever torch puts new parameters in their place."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast as every module does."""
        with _scales_kept(self):
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        """Load as every module does; ``assign=True`` makes new parameters."""
        with _scales_kept(self):
            super()._load_from_state_dict(*args, **options)


@contextmanager
def _scales_kept(module: nn.Module) -> Iterator[None]:
    """Make what are scales of ``module`` scales again at the end."""
    names = [name for name, value in module._parameters.items() if isinstance(value, Scale)]
    yield
    for name in names:
        value = module._parameters[name]
        if value is not None and not isinstance(value, Scale):
            scale = Scale(value, value.requires_grad)
            scale.grad = value.grad
            module._parameters[name] = scale
