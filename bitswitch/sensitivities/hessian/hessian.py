"""Traces of the Hessian's diagonal blocks, one for every layer, to a stated precision."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn

from bitswitch.contracts.task import ROWS, Task, rows_of
from bitswitch.errors import SpecError
from bitswitch.runtime import transfers
from bitswitch.runtime.randomness import mix
from bitswitch.sensitivities.hessian.gauss_newton import GaussNewton
from bitswitch.sensitivities.hessian.hutchinson import Hutchinson
from bitswitch.sensitivities.hessian.piecewise_linear import require_piecewise_linear
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples

if TYPE_CHECKING:
    from bitswitch.contracts.data import Batch

EstimatorName = Literal["gauss-newton", "hutchinson"]
FIRST_PROBES = 2
"""The fewest that tell how much probes differ."""
GROWTH = 4
"""So many times as many are drawn next at most: a few samples may overstate what is needed."""


class Estimator(Protocol):
    """A source of independent samples of the traces."""

    population: float
    """Of so many probes the mean has no noise left; known after the first draw."""

    def draw(self, images: Tensor, targets: Tensor, probes: range, seed: int) -> Tensor:
        """Return samples [units, probes, layers], float64; a unit is the batch, or each image."""


def sample_traces(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    batches: "Callable[[], Iterable[Batch]]",
    seed: int,
    estimator: EstimatorName = "gauss-newton",
    relative_error: float = 0.02,
    max_probes: int = 64,
    batch_size: int = 16,
    task: Task = ROWS,
) -> TraceSamples:
    """Return samples of tr(H_l), H_l the block of the mean cross-entropy's Hessian for a weight.

    More and more probes are drawn for the same images until the error bar of every layer is short
    enough and itself known well enough; see ``TraceSamples.probes_for``.

    Args:
        model: Its modes, parameters, gradients and statistics are left as they are. It is looked
            at in evaluation mode.
        layers: Convolutions and linear layers whose weights are meant, by name.
        batches: Gives the same images at every call.
        seed: Of all random signs.
        estimator: ``hutchinson`` for any network; ``gauss-newton`` where it gives the same.
        relative_error: Standard error over trace that every layer is to reach.
        max_probes: At most so many for each image; at least 2.
        batch_size: So many images go through the network at a time.
        task: What the network is trained for.

    Raises:
        SpecError: ``gauss-newton`` would not be exact for ``model``, or the traces are not finite.
    """
    weights = {name: layer.get_parameter("weight") for name, layer in layers.items()}
    source: Estimator
    if estimator == "hutchinson":
        source = Hutchinson(model, list(weights.values()), task.loss)
        needed = list(weights.values())
    else:
        rows = rows_of(task, "Gauss-Newton traces").rows
        with _looked_at(model, weights.values()):
            require_piecewise_linear(model, weights, next(iter(batches())).inputs[:1])
        source, needed = GaussNewton(model, layers, rows=rows), []
    with _looked_at(model, needed):
        return _until(source, batches, seed, relative_error, max_probes, batch_size)


def sample_input_traces(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    batches: "Callable[[], Iterable[Batch]]",
    seed: int,
    relative_error: float = 0.02,
    max_probes: int = 64,
    batch_size: int = 16,
    task: Task = ROWS,
) -> TraceSamples:
    """Return samples of the same traces for what each layer reads of an image, by Gauss-Newton.

    For any network: they are never negative, and those of the Hessian where the logits are
    piecewise linear in every input.

    Args:
        model: As in ``sample_traces``, like all that follow.
        layers: Whose inputs are meant, by name.
        batches: Gives the same images at every call.
        seed: Of all random signs.
        relative_error: Standard error over trace that every layer is to reach.
        max_probes: At most so many for each image.
        batch_size: So many images go through the network at a time.
        task: What the network is trained for.

    Raises:
        SpecError: the traces are not finite, or a layer reads something that no images make up.
    """
    rows = rows_of(task, "Gauss-Newton traces").rows
    with _looked_at(model, []):
        source = GaussNewton(model, layers, "activation", rows)
        return _until(source, batches, seed, relative_error, max_probes, batch_size)


def _until(
    source: Estimator,
    batches: "Callable[[], Iterable[Batch]]",
    seed: int,
    relative_error: float,
    max_probes: int,
    batch_size: int,
) -> TraceSamples:
    """Return samples that are precise enough, or ``max_probes`` of them."""
    samples, wanted = None, FIRST_PROBES
    while samples is None or samples.probes < wanted:
        probes = range(0 if samples is None else samples.probes, wanted)
        drawn = _round(source, batches, probes, seed, batch_size)
        samples = drawn if samples is None else samples.and_more(drawn)
        if not samples.means.isfinite().all():
            raise SpecError(
                "The Hessian's traces are not finite: the network's logits overflow.\n"
                "  Has its training diverged? Score another network, or an earlier epoch."
            )
        needed = min(samples.probes_for(relative_error), GROWTH * samples.probes)
        wanted = int(min(needed, max_probes, source.population))
    return samples


def _round(
    source: Estimator,
    batches: "Callable[[], Iterable[Batch]]",
    probes: range,
    seed: int,
    batch_size: int,
) -> TraceSamples:
    """Return samples of ``probes`` from all images."""
    values, images = [], []
    for number, (some, labels) in enumerate(_parts(batches(), batch_size)):
        drawn = source.draw(some, labels, probes, mix(seed, number))
        values.append(drawn)
        images += [len(some) / len(drawn)] * len(drawn)
    samples = torch.tensor(transfers.to_host(torch.cat(values)), dtype=torch.float64)
    return TraceSamples(samples, torch.tensor(images).double(), source.population)


def _parts(batches: "Iterable[Batch]", size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images and labels, at most ``size`` at a time."""
    for batch in batches:
        yield from zip(
            torch.split(batch.inputs, size), torch.split(batch.targets, size), strict=True
        )


@contextmanager
def _looked_at(model: nn.Module, weights: Iterable[Tensor]) -> Iterator[None]:
    """Evaluate, and let ``weights`` alone require gradients, inside; then all is as before."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval().requires_grad_(False)
        for weight in weights:
            weight.requires_grad_()
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, required in flags:
            parameter.requires_grad_(required)
