"""Hessian traces beside those of PyHessian, at equal standard errors, and for whole networks."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from bitswitch.bench.measured import Measured
from bitswitch.bench.pyhessian import Probes, pyhessian_probes
from bitswitch.bench.step import conditions
from bitswitch.contracts.data import Batch, Model
from bitswitch.models.torchvision import ResNet18, ResNet50
from bitswitch.runtime.randomness import generator
from bitswitch.sensitivities.hessian.hessian import sample_traces
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples
from bitswitch.training.clock import Instant

CLASSES, PATTERNS, PATTERN_SIZE = 1000, 10, 8
"""Outputs of the network; how many of its classes there are images of, and their resolution."""
SIZE, IMAGES, ERROR = 64, 32, 0.1
"""Of the comparison: pixels, images, and the relative error that ours stops at."""
MAX_PROBES = 1000
PROBES = 24
"""Of PyHessian: enough for their variance, from which its time to an equal error follows."""
STEPS, BATCH_SIZE, RATE, WRONG = 30, 32, 0.02, 0.2
"""Of the training before; so large a share of labels is wrong, so that a loss remains."""
NETWORKS: dict[str, type[Model]] = {"resnet18": ResNet18, "resnet50": ResNet50}
FULL_SIZE, FULL_PROBES = 224, 2
FULL_IMAGES = (("resnet18", 8), ("resnet18", 16), ("resnet50", 8))
"""Networks with random weights, and how many images of full size they are given."""
LIMIT = 20.0
COLUMNS = ("what", "network", "images", "layers", "probes", "time", "relative error", "target")


class Estimation(NamedTuple):
    """One of ours."""

    samples: TraceSamples
    seconds: float
    """Processor time, all included."""


def measure() -> Measured:
    """Measure on one thread of the processor; takes two minutes."""
    torch.set_num_threads(1)
    ours, theirs = _side_by_side(IMAGES, PROBES)
    full = [_full_size(network, images) for network, images in FULL_IMAGES]
    ratios = time_ratios(ours, theirs)
    figures = {
        "pyhessian_over_ours_at_equal_error": float(ratios.median()),
        "pyhessian_over_ours_in_the_worst_layer": float(ratios.min()),
        "pyhessian_over_ours_in_every_layer": float(ratios.max()),
        "largest_difference_in_standard_errors": largest_difference(ours, theirs),
        "pyhessian_probe_s": theirs.probe_s,
        "ours_probe_s": ours.seconds / ours.samples.probes,
    }
    rows = [_row("ours", "resnet18", ours), _their_row(theirs), *_ratio_rows(ratios)]
    for (network, images), found in zip(FULL_IMAGES, full, strict=True):
        rows.append(_row(f"{FULL_SIZE}x{FULL_SIZE}", network, found))
        figures[f"{network}_s"] = found.seconds
        figures[f"{network}_per_image_ms"] = 1000 * found.seconds / images
    figures["seconds_per_image_16_over_8"] = full[1].seconds / full[0].seconds / 2
    title = (
        f"Traces of all layers. Comparison: {SIZE}x{SIZE}, {CLASSES} classes, after {STEPS} "
        f"training steps on synthetic images of {PATTERNS} patterns\n"
        f"{conditions(torch.device('cpu'))}"
    )
    return Measured(title, COLUMNS, tuple(rows), figures)


def time_ratios(ours: Estimation, theirs: Probes) -> Tensor:
    """Return how much longer PyHessian takes to each layer's standard error of ours [layers].

    Its probes are independent, so the error of their mean follows from the variance of one.
    """
    needed = theirs.values.var(0) / ours.samples.standard_errors.square()
    return needed * theirs.probe_s / ours.seconds


def largest_difference(ours: Estimation, theirs: Probes) -> float:
    """Return by how many standard errors of both the traces of a layer differ at most."""
    variances = theirs.values.var(0) / len(theirs.values) + ours.samples.standard_errors.square()
    return float(((theirs.values.mean(0) - ours.samples.means).abs() / variances.sqrt()).max())


def _row(what: str, network: str, found: Estimation) -> tuple[str, ...]:
    samples = found.samples
    counts = (len(samples.images), len(samples.means), samples.probes)
    error = f"{samples.relative(samples.standard_errors):.1%}"
    return what, network, *map(str, counts), f"{found.seconds:.2f} s", error, ""


def _their_row(theirs: Probes) -> tuple[str, ...]:
    layers = str(theirs.values.shape[1])
    return "PyHessian", "resnet18", str(IMAGES), layers, "1", f"{theirs.probe_s:.2f} s", "", ""


def _ratio_rows(ratios: Tensor) -> list[tuple[str, ...]]:
    values = {"median layer": ratios.median(), "worst layer": ratios.min(), "all": ratios.max()}
    blank = ("resnet18", "", "", "")
    return [
        (f"time at equal error, {name}", *blank, f"x {float(value):.0f}", "", f"x {LIMIT:.0f}")
        for name, value in values.items()
    ]


def _side_by_side(images: int, probes: int) -> tuple[Estimation, Probes]:
    """Return the traces of the same network and images by both."""
    draw = _synthetic(generator("bench hessian"))
    net = _trained(draw)
    pictures, labels = draw(images, 0.0)
    layers = _layers(net)
    ours = _estimated(net, pictures, labels, ERROR, MAX_PROBES)
    return ours, pyhessian_probes(net, pictures, labels, list(layers), probes)


def _full_size(network: str, images: int) -> Estimation:
    """Return the traces of a network with random weights."""
    source = generator("bench hessian", network)
    pictures = torch.randn(images, 3, FULL_SIZE, FULL_SIZE, generator=source)
    labels = torch.randint(CLASSES, (images,), generator=source)
    net = _built(network)
    return _estimated(net, pictures.to(memory_format=torch.channels_last), labels, 1, FULL_PROBES)


def _estimated(
    net: nn.Module, images: Tensor, labels: Tensor, error: float, max_probes: int
) -> Estimation:
    batches = [Batch(images, labels, labels)]
    began = Instant.now().cpu
    samples = sample_traces(
        net, _layers(net), lambda: batches, 0, relative_error=error, max_probes=max_probes
    )
    return Estimation(samples, Instant.now().cpu - began)


def _layers(net: nn.Module) -> dict[str, nn.Module]:
    kinds = nn.Conv2d | nn.Linear
    return {name: module for name, module in net.named_modules() if isinstance(module, kinds)}


def _built(network: str) -> nn.Module:
    kind = NETWORKS[network]
    net = kind(kind.Options()).build(CLASSES, 0).eval()
    return net.to(memory_format=torch.channels_last)


def _trained(draw: Callable[[int, float], tuple[Tensor, Tensor]]) -> nn.Module:
    """Return a ResNet-18 that has learned the patterns a little."""
    net = _built("resnet18").train()
    optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9)
    for _ in range(STEPS):
        images, labels = draw(BATCH_SIZE, WRONG)
        optimizer.zero_grad()
        cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    optimizer.zero_grad()
    return net.eval()


def _synthetic(source: torch.Generator) -> Callable[[int, float], tuple[Tensor, Tensor]]:
    """Return a function that draws images of noisy patterns, and labels, a share of them wrong."""
    patterns = torch.randn(PATTERNS, 3, PATTERN_SIZE, PATTERN_SIZE, generator=source)
    patterns = interpolate(patterns, SIZE)

    def draw(count: int, wrong: float) -> tuple[Tensor, Tensor]:
        shown, other = torch.randint(PATTERNS, (2, count), generator=source)
        images = patterns[shown] + torch.randn(count, 3, SIZE, SIZE, generator=source)
        labels = torch.where(torch.rand(count, generator=source) < wrong, other, shown)
        return images.to(memory_format=torch.channels_last), labels

    return draw
