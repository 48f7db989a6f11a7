"""GPTQ's sweep: columns are rounded one by one, and those to come make up for the error."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

BLOCK = 128
"""Columns after which the error is spread over all that are left; it changes no result."""


class Rounder(Protocol):
    """Rounds one column of weights at a time."""

    def begin(self, columns: Tensor) -> None:
        """Fit the grids of the group that starts here.

        Args:
            columns: Its weights as they are by now, [blocks, rows, size].
        """
        ...

    def round(self, column: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes of ``column`` [blocks, rows], and the error that others make up for."""
        ...


class Order(NamedTuple):
    """In which order columns are rounded."""

    group: int
    """Columns that share grids, which are fitted when the first of them comes."""
    falling: bool = False
    """By falling diagonal of the Hessian; only where all columns share grids."""


@torch.no_grad()
def sweep(
    weight: Tensor, hessian: Tensor, rounder: Rounder, order: Order, damping: float
) -> Tensor:
    """Return the codes of ``weight``, each row of which has the loss (w - q) H (w - q)^T.

    With U the upper Cholesky factor of H^-1, the error e of column c moves every later column k by
    -e U_ck / U_cc, which is best if no more columns were rounded.

    Args:
        weight: [blocks, rows, columns], float32; blocks do not know each other.
        hessian: [blocks, columns, columns], on inputs that weigh in; see ``prepared``.
        rounder: Rounds columns.
        order: Of the columns.
        damping: Share of the mean diagonal that is added to the diagonal.

    Source: frantar2023gptq, Algorithm 1; the order: its public code ("act-order").
    """
    places = _places(hessian, order)
    weight = weight.gather(-1, places.unsqueeze(1).expand_as(weight))
    factor = _factor(_permuted(hessian, places), damping).to(weight.dtype)
    codes = torch.empty_like(weight)
    for start, end in _blocks(weight.shape[-1], order.group):
        errors = torch.empty_like(weight[..., start:end])
        for place in range(start, end):
            if place % order.group == 0:
                rounder.begin(weight[..., place : place + order.group])
            codes[..., place], error = rounder.round(weight[..., place])
            error = error / factor[:, place, place].unsqueeze(1)
            shares = factor[:, place, place:end].unsqueeze(1)
            weight[..., place:end] -= error.unsqueeze(-1) * shares
            errors[..., place - start] = error
        weight[..., end:] -= errors @ factor[:, start:end, end:]
    return codes.scatter(-1, places.unsqueeze(1).expand_as(codes), codes.clone())


def _blocks(columns: int, group: int) -> Iterator[tuple[int, int]]:
    """Yield blocks of at most ``BLOCK`` columns.

    A group ends in the block that it begins in, or begins one: when its grids are fitted, all its
    columns have made up for the errors before them.
    """
    size = group * max(1, BLOCK // group)
    for start in range(0, columns, size):
        stop = min(start + size, columns)
        for first in range(start, stop, BLOCK):
            yield first, min(first + BLOCK, stop)


def prepared(weight: Tensor, hessian: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with inputs that were always zero taken out: weights 0, diagonal 1.

    Args:
        weight: [blocks, rows, columns].
        hessian: [blocks, columns, columns].
    """
    dead = hessian.diagonal(dim1=-2, dim2=-1) == 0
    alive = hessian + torch.diag_embed(dead.to(hessian.dtype))
    return torch.where(dead.unsqueeze(1), 0.0, weight), alive


def _places(hessian: Tensor, order: Order) -> Tensor:
    """Return the columns in their order, [blocks, columns]."""
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    if order.falling:
        return diagonal.argsort(dim=-1, descending=True, stable=True)
    places = torch.arange(diagonal.shape[-1], device=diagonal.device)
    return places.expand_as(diagonal)


def _permuted(hessian: Tensor, places: Tensor) -> Tensor:
    rows = hessian.gather(1, places.unsqueeze(2).expand_as(hessian))
    return rows.gather(2, places.unsqueeze(1).expand_as(hessian))


def _factor(hessian: Tensor, damping: float) -> Tensor:
    """Return the upper Cholesky factor of the inverse of the damped ``hessian``, float64."""
    hessian = hessian.double()
    mean = hessian.diagonal(dim1=-2, dim2=-1).mean(-1)
    eye = torch.eye(hessian.shape[-1], dtype=hessian.dtype, device=hessian.device)
    damped = hessian + (damping * mean)[:, None, None] * eye
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor
