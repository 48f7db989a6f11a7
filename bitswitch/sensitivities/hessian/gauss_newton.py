"""Traces of Gauss-Newton blocks, of every layer, by one ordinary backward pass for all images.

Where the logits are piecewise linear in each weight tensor (see ``piecewise_linear``), these are
the blocks of the Hessian of the mean cross-entropy. With the probabilities p_i of image i and J_i
the derivatives of its logits by one weight tensor, the trace over n images is

    1/n sum_i tr(J_i^T (diag p_i - p_i p_i^T) J_i) = 1/n sum_i E ||J_i^T r_i||^2,

with r_i as in ``output_gradients``. Norms are taken image by image, so the gradients of two images
never mix. Labels do not matter. Where an image has several rows of logits, say a window of tokens
one for each, its loss is the mean over those that count, and r_i holds the r of each over the root
of their number: signs of different rows are independent. With J_i the derivatives by
the input of one layer, it is the trace for that input; where the logits are curved in it, the part
of the Hessian that is never negative.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bitswitch.contracts.task import ROWS, UNCOUNTED
from bitswitch.errors import SpecError
from bitswitch.runtime.randomness import generator
from bitswitch.sensitivities.hessian.gradient_norms import Norms, squared_norms
from bitswitch.sensitivities.hessian.orthogonal_signs import OrthogonalSigns, population
from bitswitch.sensitivities.hessian.piecewise_linear import ADVICE


def output_gradients(logits: Tensor, signs: Tensor) -> Tensor:
    """Return r [n, classes]; over random signs, the mean of r r^T is diag p - p p^T.

    Args:
        logits: [n, classes].
        signs: -1 or 1 for each of them.
    """
    probabilities = logits.softmax(1)
    drawn = probabilities.sqrt() * signs
    return drawn - probabilities * drawn.sum(1, keepdim=True)


class GaussNewton:
    """Samples of the traces, one for every image and probe.

    Args:
        model: In evaluation mode; none of its parameters requires gradients.
        layers: Convolutions and linear layers by name, each of which is called once.
        operand: What the traces are for, the weights of the layers or what they read.
        rows: Gives logits [units, classes] of the outputs, as many rows for every image.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[str, nn.Module],
        operand: Literal["weight", "activation"] = "weight",
        rows: Callable[[Any], Tensor] = ROWS.rows,
    ) -> None:
        self.model, self.layers, self.operand, self.rows = model, layers, operand, rows
        self.population: float = inf

    def draw(self, images: Tensor, targets: Tensor, probes: range, seed: int) -> Tensor:
        """Return samples [n, probes, layers] of the traces over each image.

        Args:
            images: [n, ...].
            targets: [n, ...]; needed only to see which rows count, those that are not -100.
            probes: Which ones to draw.
            seed: Of the batch. Images have signs of their own.

        Raises:
            SpecError: a layer does not have images in its first dimension, or the rows of logits
                are not those of images.
        """
        with _watched(self.layers, len(images), self.operand == "activation") as watch:
            logits = self.rows(self.model(images))
        if logits.dim() != 2 or len(logits) % len(images):
            raise SpecError(
                f"Gauss-Newton traces need rows of logits for every image; {len(images)} images "
                f"give logits of shape {tuple(logits.shape)}.\n  {ADVICE}"
            )
        if len(logits) == len(images):
            self.population = population(logits.shape[1])
            starts = _of_images(logits.detach(), probes, seed)
        else:
            shares = _shares(targets, len(images), logits)
            starts = _of_units(logits.detach(), shares, probes, seed)
        rows = []
        for start in starts:
            torch.autograd.grad(logits, watch.taps, start, retain_graph=True)
            rows.append(torch.stack([watch.found[name] for name in self.layers], dim=1))
        return torch.stack(rows, dim=1)


def _of_images(logits: Tensor, probes: range, seed: int) -> Iterator[Tensor]:
    """Yield where the backward pass of every probe starts [n, classes]."""
    signs = OrthogonalSigns.draw(len(logits), logits.shape[1], generator("gauss-newton", seed))
    for probe in probes:
        yield output_gradients(logits, signs.vectors(probe).to(logits))


def _of_units(logits: Tensor, shares: Tensor, probes: range, seed: int) -> Iterator[Tensor]:
    """Do so where an image has several rows [units, classes], which are drawn independently."""
    for probe in probes:
        drawn = torch.randint(2, logits.shape, generator=generator("gauss-newton", seed, probe))
        yield output_gradients(logits, (2 * drawn - 1).to(logits)) * shares


def _shares(targets: Tensor, images: int, logits: Tensor) -> Tensor:
    """Return what each row's gradient is multiplied by [units, 1]: its share's root, or 0."""
    counted = logits.new_ones(images, len(logits) // images)
    if targets.numel() == len(logits):
        counted = (targets.reshape(counted.shape) != UNCOUNTED).to(logits)
    return (counted / counted.sum(1, keepdim=True).clamp(min=1).sqrt()).reshape(-1, 1)


class _Watch:
    """What backward passes tell of layers.

    Args:
        images: In the batch.
    """

    def __init__(self, images: int) -> None:
        self.images = images
        self.taps: list[Tensor] = []
        """Zeros added to the outputs of layers that no other layer comes before."""
        self.found: dict[str, Tensor] = {}
        """Squared norms [n] of the last backward pass, float64, by layer."""

    def tap(self, name: str, layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Take part in a forward pass: see the input of ``layer`` and wait for its gradient."""
        if len(output) != self.images:
            raise SpecError(
                f"Gauss-Newton traces need images to stay apart; of {self.images} images, layer "
                f"'{name}' makes a tensor of shape {tuple(output.shape)}.\n  {ADVICE}"
            )
        output = self._connected(output)
        norms = squared_norms(layer, inputs[0].detach(), output.shape)
        # Sees the gradient to the output as it is now, even if the next layer overwrites it.
        output.register_hook(  # type: ignore[no-untyped-call]
            partial(self._measure, name, norms)
        )
        return output

    def tap_input(self, name: str, layer: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Take part in a forward pass: wait for the gradient to what ``layer`` reads."""
        if len(inputs[0]) % self.images:
            raise SpecError(
                f"Gauss-Newton traces need images to stay apart; of {self.images} images, layer "
                f"'{name}' reads a tensor of shape {tuple(inputs[0].shape)}."
            )
        # A view of its own: other layers that read the same have gradients of their own.
        read = self._connected(inputs[0].view_as(inputs[0]))
        read.register_hook(  # type: ignore[no-untyped-call]
            partial(self._measure, name, self._image_norms)
        )
        return (read, *inputs[1:])

    def _connected(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` as a part of the graph, by a tap where nothing before it is one."""
        if tensor.requires_grad:
            return tensor
        self.taps.append(tensor.new_zeros((), requires_grad=True))
        return tensor + self.taps[-1]

    def _image_norms(self, gradient: Tensor) -> Tensor:
        return gradient.reshape(self.images, -1).square().sum(1)

    def _measure(self, name: str, norms: Norms, gradient: Tensor) -> None:
        self.found[name] = norms(gradient).double()


@contextmanager
def _watched(layers: Mapping[str, nn.Module], images: int, inputs: bool) -> Iterator[_Watch]:
    """Watch the ``layers`` that are called inside on so many images, or their ``inputs``."""
    watch = _Watch(images)
    with ExitStack() as stack:
        for name, layer in layers.items():
            if inputs:
                handle = layer.register_forward_pre_hook(partial(watch.tap_input, name))
            else:
                hook: Callable[..., Tensor] = partial(watch.tap, name)
                handle = layer.register_forward_hook(hook)
            stack.callback(handle.remove)
        yield watch
