"""Latency of deployed networks in onnxruntime, beside the same networks in float32."""

import torch

from bitswitch.bench.measured import Measured
from bitswitch.bench.step import conditions
from bitswitch.bench.switch import BITSET, deployed
from bitswitch.deployment.latency import BATCHES
from bitswitch.deployment.latency import measure as latencies
from bitswitch.deployment.onnx.export import graph_of
from bitswitch.deployment.onnx.runtime import kernels
from bitswitch.types import FLOAT_BITS

NETWORKS = ("resnet18", "resnet50", "mobilenetv2")
ROUNDS = 5
COLUMNS = (
    *("network", "images", "float32", *(f"{bits} bits" for bits in BITSET)),
    *(f"{BITSET[0]} bits/float32", "layers in integers"),
)


def measure() -> Measured:
    """Measure networks with random weights at 1 and 32 images of 224x224 pixels, one thread."""
    rows, figures = [], {}
    for name in NETWORKS:
        model = deployed(name).model
        found = kernels(graph_of(model, BITSET[0]))
        share = f"{found.integer} of {sum(found)}"
        times = {(one.bits, one.batch): one.median_ms for one in latencies(model, rounds=ROUNDS)}
        for batch in BATCHES:
            by_bits = [times[bits, batch] for bits in (FLOAT_BITS, *BITSET)]
            ratio = by_bits[1] / by_bits[0]
            figures[f"{name}_{batch}_int8_over_fp32"] = ratio
            cells = (f"{time_ms:.1f} ms" for time_ms in by_bits)
            rows.append((name, str(batch), *cells, f"{ratio:.2f}", share))
    title = (
        f"onnxruntime, random weights, median of {ROUNDS} rounds, alternating\n"
        f"{conditions(torch.device('cpu'))}"
    )
    return Measured(title, COLUMNS, tuple(rows), figures)
