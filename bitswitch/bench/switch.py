"""Switching a deployed network, beside quantizing it anew and beside copying the same bytes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.bench.measured import Measured
from bitswitch.bench.step import conditions
from bitswitch.deployment import container
from bitswitch.deployment.export import artifact_of
from bitswitch.deployment.loading import assembled
from bitswitch.deployment.model import IntegerModel
from bitswitch.plugins import registry
from bitswitch.plugins.resolve import resolved
from bitswitch.quant.integer import signed_range
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.clock import Instant
from bitswitch.types import format_bitset

BITSET = (8, 6, 4, 2)
TOUR = (6, 4, 2, 8)
"""Switched to in turn, from the widest."""
NETWORKS = ("resnet18", "resnet50")
LARGEST = "resnet50"
END_BITS = 8
"""Of the first and the last layer, in the smaller of two files."""
ROUNDS = 21
COPY_LIMIT, REQUANTIZE_LIMIT, FILE_LIMIT = 3.0, 5.0, 0.26
COLUMNS = (
    *("network", "from, to", "switch", "codes kept", "copy", "quantize anew"),
    *("switch/copy", "anew/switch", "file/FP32", f"with {END_BITS}-bit ends"),
)


class Deployed(NamedTuple):
    """A network in memory, as integers and as it would be without them."""

    model: IntegerModel
    keeping: IntegerModel
    """The same one, which keeps narrow codes once they were used."""
    weights: list[tuple[Tensor, Tensor]]
    """Float weight and scale at the widest bit-width, of every layer that switches."""
    file_share: float
    """Bytes of the file over those of all tensors of the full-precision network."""


class Times(NamedTuple):
    """Median seconds of one switch, or of several in turn."""

    switch: float
    kept: float
    """Of a switch to codes that are kept."""
    copy: float
    requantize: float


def measure() -> Measured:
    """Measure the tour 8, 6, 4, 2, 8 on ResNet-18 and ResNet-50 with random weights."""
    torch.set_num_threads(1)
    rows: list[tuple[str, ...]] = []
    tours, files = [], {}
    for name in NETWORKS:
        network = deployed(name)
        each = time_tour(network)
        tours.append(Times(*map(sum, zip(*each, strict=True))))
        files[name] = (network.file_share, deployed(name, END_BITS).file_share)
        steps = zip((BITSET[0], *TOUR), TOUR, strict=False)
        rows += [
            _row(name, f"{one} to {other}", times)
            for (one, other), times in zip(steps, each, strict=True)
        ]
        rows.append(_row(name, "all of them", tours[-1], *(f"{f:.3f}" for f in files[name])))
    figures = {
        "switch_over_copy": max(tour.switch / tour.copy for tour in tours),
        "requantize_over_switch": min(tour.requantize / tour.switch for tour in tours),
        "kept_over_copy": max(tour.kept / tour.copy for tour in tours),
        "file_over_fp32": files[LARGEST][1],
        "file_over_fp32_float_edges": files[LARGEST][0],
    }
    limits = f"at most {COPY_LIMIT:.0f}", f"at least {REQUANTIZE_LIMIT:.0f}"
    rows.append(("target", "", "", "", "", "", *limits, "", f"{FILE_LIMIT} ({LARGEST})"))
    title = (
        f"{format_bitset(BITSET)}, random weights, median of {ROUNDS} rounds, alternating\n"
        f"{conditions(torch.device('cpu'))}"
    )
    return Measured(title, COLUMNS, tuple(rows), figures)


def time_tour(network: Deployed) -> list[Times]:
    """Return the times of each switch of the tour.

    A copy is made of as many bytes as the switch makes: none, back at the widest bit-width.
    """
    model = network.model
    stored = [layer.codes for layer in model.snapshot(BITSET[0]).layers.values()]
    found: dict[int, list[Times]] = {bits: [] for bits in TOUR}
    for bits in TOUR:
        network.keeping.switch(bits)
    for _ in range(ROUNDS):
        for bits in TOUR:
            narrow = stored if bits != BITSET[0] else []
            times = (
                _seconds(partial(model.switch, bits)),
                _seconds(partial(network.keeping.switch, bits)),
                _seconds(partial(_copy, narrow)),
                _seconds(partial(quantize_anew, network.weights, bits)),
            )
            found[bits].append(Times(*times))
    return [Times(*map(median, zip(*found[bits], strict=True))) for bits in TOUR]


def _copy(codes: Sequence[Tensor]) -> list[Tensor]:
    return [one.clone() for one in codes]


def quantize_anew(weights: Sequence[tuple[Tensor, Tensor]], bits: int) -> list[Tensor]:
    """Return the codes of all layers at ``bits`` from float weights, rounded once, int8."""
    ratio, (low, high) = 2.0 ** (BITSET[0] - bits), signed_range(bits)
    return [
        (weight / (scale * ratio)).clamp_(low, high).round_().to(torch.int8)
        for weight, scale in weights
    ]


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of ``work``; what it returns is freed outside."""
    began = Instant.now().cpu
    kept = work()
    spent = Instant.now().cpu - began
    del kept
    return spent


def _row(name: str, what: str, times: Times, *files: str) -> tuple[str, ...]:
    milliseconds = (f"{1e3 * seconds:.2f} ms" for seconds in times)
    over_copy = f"{times.switch / times.copy:.2f}" if times.copy > times.switch / 100 else ""
    ratios = over_copy, f"{times.requantize / times.switch:.2f}"
    return (name, what, *milliseconds, *ratios, *(files or ("", "")))


def deployed(name: str, first_last_bits: int | None = None) -> Deployed:
    """Return a network of Double Rounding with random weights.

    Args:
        name: Model plugin.
        first_last_bits: Of the first and the last layer; None: full precision.
    """
    has_weights = "weights" in registry.resolve("models", name, {})
    run = resolved(
        RunSpec.model_validate(
            {
                "method": {
                    "name": "double-rounding",
                    "options": {"first_last_bits": first_last_bits},
                },
                "model": {"name": name, "options": {"weights": "none"} if has_weights else {}},
                "dataset": "imagenet",
                "bitset": BITSET,
                "seed": 0,
                "training": {"epochs": 1, "batch_size": 1, "learning_rate": 5e-4},
            }
        )
    )
    parts = Parts.of(run)
    net = parts.float_net()
    float_bytes = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    model = parts.quantized(net, torch.device("cpu")).eval()
    artifact = artifact_of(model, run, parts.dataset.outputs, parts.example(1).inputs)
    weights = [
        (layer.weight.detach(), layer.weight_quantizer.encode(layer.weight, width).scale)
        for layer in model.layers.values()
        if (width := layer.weight_switch.width) is not None
    ]
    integers, keeping = (
        assembled(*artifact.content, Path("memory"), keep_narrow=keep) for keep in (False, True)
    )
    share = len(container.encoded(*artifact.content)) / float_bytes
    return Deployed(integers, keeping, weights, share)
